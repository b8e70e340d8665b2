package rdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/keyframe/keyframe/rdb"
)

// A file is verified while it is copied somewhere else.
func Example() {
	f, err := os.Open("testdata/redis-7.0.rdb")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	var copied bytes.Buffer
	summary, err := rdb.NewScanner(f, rdb.Options{Tee: &copied}).Scan()
	if errors.Is(err, rdb.ErrCorrupt) {
		log.Fatal("do not keep this file: ", err)
	} else if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Aux.Engine, summary.Aux.EngineVersion, "wrote version", summary.Version)
	fmt.Println("checksum", summary.Checksum)
	fmt.Println("all bytes copied:", int64(copied.Len()) == summary.Bytes)
	fmt.Println("readable from version", rdb.MinVersion(summary))
	// Output:
	// redis 7.0.15 wrote version 10
	// checksum verified
	// all bytes copied: true
	// readable from version 10
}

// The callback sees each record's place, and its key if asked.
func ExampleOptions() {
	file := "REDIS0003" + // no checksum in this version
		"\xfe\x05" + // database 5
		"\xfc\x00\x68\xe5\xcf\x8b\x01\x00\x00" + // expiry of the next key
		"\x00\x09{user}:42\x02hi" +
		"\x00\xc0\x7b\x02ho" + // the key "123", stored as an integer
		"\xff"
	options := rdb.Options{Keys: true, OnRecord: func(r *rdb.Record) error {
		fmt.Printf("%s: db %d, slot %d, %s, expires %d, bytes %d+%d\n",
			r.Key, r.DB, r.Slot, rdb.TypeName(rdb.FamilyRedis, r.Type), r.ExpireAt, r.Offset, r.Size)
		return nil
	}}
	if _, err := rdb.NewScanner(bytes.NewReader([]byte(file)), options).Scan(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {user}:42: db 5, slot 5474, string, expires 1700000000000, bytes 11+23
	// 123: db 5, slot 5970, string, expires 0, bytes 34+6
}

// After the file, a replication stream goes on.
func ExampleScanner_Rest() {
	stream := bytes.NewBufferString("REDIS0003\x00\x01k\x01v\xffPING\r\n")
	scanner := rdb.NewScanner(stream, rdb.Options{})
	if _, err := scanner.Scan(); err != nil {
		log.Fatal(err)
	}
	rest, _ := io.ReadAll(scanner.Rest())
	fmt.Printf("%q\n", rest)
	// Output: "PING\r\n"
}

// Two halves of a cluster become three files, record by record.
func ExampleSplitter() {
	halves := []string{
		"REDIS0003\xfe\x00\x00\x03bar\x05first\xff",
		"REDIS0003\xfe\x00\x00\x03foo\x06second\xff",
	}
	var files [3]bytes.Buffer
	var outputs []rdb.Output
	for i := range files {
		out := rdb.Output{W: &files[i]}
		out.Slots.Add(i*rdb.Slots/3, (i+1)*rdb.Slots/3-1)
		outputs = append(outputs, out)
	}
	splitter, err := rdb.NewSplitter(rdb.SplitOptions{Version: 11}, outputs...)
	if err != nil {
		log.Fatal(err)
	}
	for _, half := range halves {
		if _, err := rdb.NewScanner(strings.NewReader(half), rdb.Options{Split: splitter}).Scan(); err != nil {
			log.Fatal(err)
		}
	}
	written, err := splitter.Close()
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range written {
		fmt.Println(w.Keys, "keys")
	}
	// Output:
	// 1 keys
	// 0 keys
	// 1 keys
}

package rdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/keyframe/keyframe/rdb"
)

// exampleFile writes a small file for the examples.
func exampleFile() []byte {
	var file bytes.Buffer
	w, err := rdb.NewWriter(&file, rdb.WriterOptions{Version: 11})
	if err != nil {
		log.Fatal(err)
	}
	for key, value := range []rdb.Data{
		rdb.String("hello"),
		rdb.Hash{{Name: []byte("name"), Value: []byte("Ada")}, {Name: []byte("born"), Value: []byte("1815")}},
		rdb.SortedSet{{Text: []byte("silver"), Score: 2}, {Text: []byte("gold"), Score: 1.5}},
		&rdb.Stream{Entries: []rdb.StreamEntry{
			{ID: rdb.StreamID{Ms: 1700000000000}, Fields: []rdb.Pair{{Name: []byte("temperature"), Value: []byte("21")}}},
		}},
	} {
		if err := w.Write(rdb.Meta{Key: fmt.Appendf(nil, "key:%d", key)}, value); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		log.Fatal(err)
	}
	return file.Bytes()
}

// Values are read by kind; what is left alone is skipped.
func ExampleScanner_Records() {
	scanner := rdb.NewScanner(bytes.NewReader(exampleFile()), rdb.Options{})
	for record, err := range scanner.Records() {
		if err != nil {
			log.Fatal(err)
		}
		value := record.Value
		fmt.Printf("%s, a %s stored as %s\n", record.Key, value.Kind(), rdb.TypeName(rdb.FamilyRedis, value.Type()))
		switch value.Kind() {
		case rdb.KindString:
			text, err := value.Text(1 << 20) // no more than 1 MiB
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("  %s\n", text)
		case rdb.KindHash:
			for field, err := range value.Elements() {
				if err != nil {
					log.Fatal(err)
				}
				fmt.Printf("  %s: %s\n", field.Text, field.Value)
			}
		case rdb.KindSortedSet:
			for member, err := range value.Elements() {
				if err != nil {
					log.Fatal(err)
				}
				fmt.Printf("  %s %v\n", member.Text, member.Score)
			}
		}
	}
	fmt.Println(scanner.Summary().Keys, "keys")
	// Output:
	// key:0, a string stored as string
	//   hello
	// key:1, a hash stored as hash, listpack
	//   name: Ada
	//   born: 1815
	// key:2, a zset stored as zset, listpack
	//   gold 1.5
	//   silver 2
	// key:3, a stream stored as stream, third form
	// 4 keys
}

// A string of any size goes through without being held.
func ExampleValue_Reader() {
	for record, err := range rdb.NewScanner(bytes.NewReader(exampleFile()), rdb.Options{}).Records() {
		if err != nil {
			log.Fatal(err)
		}
		if record.Value.Kind() == rdb.KindString {
			n, err := io.Copy(os.Stdout, record.Value.Reader())
			fmt.Printf(" (%d bytes, %v)\n", n, err)
		}
	}
	// Output: hello (5 bytes, <nil>)
}

// A stream is its entries, and then what it knows besides them.
func ExampleValue_Entries() {
	for record, err := range rdb.NewScanner(bytes.NewReader(exampleFile()), rdb.Options{}).Records() {
		if err != nil {
			log.Fatal(err)
		}
		if record.Value.Kind() != rdb.KindStream {
			continue
		}
		for entry, err := range record.Value.Entries() {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("%s %s=%s\n", entry.ID, entry.Fields[0].Name, entry.Fields[0].Value)
		}
		state, err := record.Value.State()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("last", state.LastID, "of", state.EntriesAdded)
	}
	// Output:
	// 1700000000000-0 temperature=21
	// last 1700000000000-0 of 1
}

// Decode makes a Go value of any value, within a limit of memory.
func ExampleValue_Decode() {
	for record, err := range rdb.NewScanner(bytes.NewReader(exampleFile()), rdb.Options{}).Records() {
		if err != nil {
			log.Fatal(err)
		}
		data, err := record.Value.Decode(64)
		switch {
		case errors.Is(err, rdb.ErrTooLarge):
			fmt.Printf("%s takes too much\n", record.Key)
			continue
		case err != nil:
			log.Fatal(err)
		}
		switch data := data.(type) {
		case rdb.String:
			fmt.Printf("%s is %q\n", record.Key, data)
		case rdb.SortedSet:
			fmt.Printf("%s begins with %s\n", record.Key, data[0].Text)
		}
	}
	// Output:
	// key:0 is "hello"
	// key:1 takes too much
	// key:2 takes too much
	// key:3 takes too much
}

// Deep verification finds what no checksum covers.
func ExampleOptions_deep() {
	file := exampleFile()
	at := bytes.Index(file, []byte("Ada"))
	file[at+3] = 9 // the length of what lies in front, in a listpack
	copy(file[len(file)-8:], make([]byte, 8))

	_, err := rdb.NewScanner(bytes.NewReader(file), rdb.Options{}).Scan()
	fmt.Println(err)
	_, err = rdb.NewScanner(bytes.NewReader(file), rdb.Options{Deep: true}).Scan()
	var corrupt *rdb.CorruptError
	fmt.Println(errors.As(err, &corrupt), corrupt.Section)
	// Output:
	// <nil>
	// true value of type 16 (hash, listpack)
}

// A file for an older engine.
func ExampleLower() {
	var older bytes.Buffer
	summary, err := rdb.Lower(bytes.NewReader(exampleFile()), &older, 10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %d keys\n", older.Bytes()[:9], summary.Keys)
	// Output: REDIS0010, 4 keys
}

// A Writer takes values, and collections that are larger than memory.
func ExampleWriter() {
	var file bytes.Buffer
	w, err := rdb.NewWriter(&file, rdb.WriterOptions{Version: 80})
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Select(0, 2, 1); err != nil { // two keys, of which one expires
		log.Fatal(err)
	}
	session := rdb.Hash{{Name: []byte("token"), Value: []byte("secret"), ExpireAt: 1900000000000}}
	if err := w.Write(rdb.Meta{Key: []byte("session"), ExpireAt: 2000000000000}, session); err != nil {
		log.Fatal(err)
	}
	visits := rdb.Collection{Kind: rdb.KindList, Len: 1_000_000, All: func(yield func(rdb.Element, error) bool) {
		for i := range 1_000_000 {
			if !yield(rdb.Element{Text: fmt.Append(nil, i)}, nil) {
				return
			}
		}
	}}
	if err := w.WriteCollection(rdb.Meta{Key: []byte("visits")}, visits); err != nil {
		log.Fatal(err)
	}
	written, err := w.Close()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(written.Keys, "keys,", written.Expiring, "of them expires")
	// Output: 2 keys, 1 of them expires
}

// Every key of a file as a payload that RESTORE takes.
func ExampleValue_Dump() {
	var payload bytes.Buffer
	for record, err := range rdb.NewScanner(bytes.NewReader(exampleFile()), rdb.Options{}).Records() {
		if err != nil {
			log.Fatal(err)
		}
		payload.Reset()
		// The version that just has the type is taken by most engines.
		version := rdb.TypeVersion(rdb.FamilyRedis, record.Type)
		if _, err := record.Value.Dump(&payload, version); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("RESTORE %s 0 <%d bytes of version %d>\n", record.Key, payload.Len(), version)
	}
	// Output:
	// RESTORE key:0 0 <17 bytes of version 9>
	// RESTORE key:1 0 <39 bytes of version 10>
	// RESTORE key:2 0 <40 bytes of version 10>
	// RESTORE key:3 0 <93 bytes of version 11>
}

// What DUMP answered is checked, and read like a value of a file.
func ExampleParseDump() {
	payload, err := rdb.EncodeDump(nil, rdb.List{[]byte("a"), []byte("b")}, rdb.WriterOptions{Version: 11})
	if err != nil {
		log.Fatal(err)
	}
	dump, err := rdb.ParseDump(payload)
	if err != nil {
		log.Fatal(err)
	}
	data, err := dump.Decode(1 << 20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("a %s of version %d: %s\n", data.Kind(), dump.Version, data)

	payload[3] ^= 1
	_, err = rdb.ParseDump(payload)
	fmt.Println(errors.Is(err, rdb.ErrCorrupt))
	// Output:
	// a list of version 11: [a b]
	// true
}

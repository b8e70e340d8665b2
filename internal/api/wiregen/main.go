// Command wiregen writes the Go shapes, enums, faults and operation table of one API from internal/api/facts. It is run by
// go generate in internal/api/ecapi and internal/api/mdbapi.
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("wiregen: ")
	service := flag.String("service", "", "elasticache or memorydb")
	out := flag.String("out", ".", "directory of the generated package")
	flag.Parse()
	files, err := generate(*service)
	if err != nil {
		log.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(*out, name), content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

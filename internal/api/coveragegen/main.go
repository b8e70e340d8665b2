// Command coveragegen writes docs/api-coverage.md from the operation tables and the routes of the faces.
package main

import (
	"log"
	"os"

	"github.com/keyframe/keyframe/internal/api/coverage"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/elasticache"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/memorydb"
	"github.com/keyframe/keyframe/internal/api/wire"
)

//go:generate go run . ../../../docs/api-coverage.md

func main() {
	log.SetFlags(0)
	log.SetPrefix("coveragegen: ")
	var services []coverage.Service
	for _, face := range []struct {
		table     *wire.Service
		decisions []coverage.Op
	}{{ecapi.Service, elasticache.Decisions()}, {mdbapi.Service, memorydb.Decisions()}} {
		s, err := coverage.New(face.table, face.decisions)
		if err != nil {
			log.Fatal(err)
		}
		services = append(services, s)
	}
	if err := os.WriteFile(os.Args[1], []byte(coverage.Markdown(services)), 0o644); err != nil {
		log.Fatal(err)
	}
}

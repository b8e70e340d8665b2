// Package mdbapi holds the shapes, enums, faults and operation table of the MemoryDB API, generated from internal/api/facts.
package mdbapi

//go:generate go run ../wiregen -service memorydb -out .

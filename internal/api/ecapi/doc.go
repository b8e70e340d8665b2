// Package ecapi holds the shapes, enums, faults and operation table of the ElastiCache API, generated from internal/api/facts.
package ecapi

//go:generate go run ../wiregen -service elasticache -out .

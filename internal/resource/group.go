package resource

import "time"

// ParameterGroup is a named set of engine parameters. Groups named default.<family> exist without a record and cannot be changed.
type ParameterGroup struct {
	Scope
	Service     string // elasticache or memorydb
	Name        string // lower case
	Family      string // "valkey8", "memorydb_redis7"
	Description string
	Values      map[string]string // those that differ from the family's defaults
	CreatedAt   time.Time
}

// SubnetGroup is a named set of subnets; kept and shown.
type SubnetGroup struct {
	Scope
	Service     string
	Name        string // lower case
	Description string
	SubnetIDs   []string
	CreatedAt   time.Time
}

// AccessStatus is the status of a user or user group as the APIs show it.
type AccessStatus string

const (
	AccessCreating  AccessStatus = "creating"
	AccessActive    AccessStatus = "active"
	AccessModifying AccessStatus = "modifying"
	AccessDeleting  AccessStatus = "deleting"
)

// User is an account that clients log in with.
type User struct {
	Scope
	Service   string
	ID        string // lower case; in MemoryDB it is the name as well
	Name      string // with which clients log in
	Engine    Engine
	Access    string   // access string, as it was given
	NoPass    bool     // no password is required
	Hashes    []string `json:",omitempty"` // SHA-256 of each password, hexadecimal
	Status    AccessStatus
	CreatedAt time.Time

	// Waiting are the IDs of the caches that have not taken the last change yet. Then the status becomes active, or the user is deleted.
	Waiting []string `json:",omitempty"`
}

// UserGroup is a set of users of a cache: a user group of ElastiCache, an ACL of MemoryDB.
type UserGroup struct {
	Scope
	Service   string
	Name      string // lower case
	Engine    Engine
	UserIDs   []string
	Status    AccessStatus
	CreatedAt time.Time

	Waiting  []string `json:",omitempty"` // as for users
	Adding   []string `json:",omitempty"` // IDs of users that the last change adds, while it is waiting
	Removing []string `json:",omitempty"`
}

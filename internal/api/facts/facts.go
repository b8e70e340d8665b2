// Package facts holds what AWS's API models state about ElastiCache and MemoryDB: names, types, bounds, faults and HTTP
// statuses, without any of their prose. overlay.json adds, per API, what the models lack or clients contradict:
//
//   - operations, shapes, members, errors: what SDKs already know and the model does not yet. The generator refuses
//     an entry once the model has it.
//   - optional: members that the model still requires and newer clients may leave out; required: the reverse.
//   - also: a second XML element for a member. aws-sdk-go-v2 reads the member's name, botocore the list shape's.
//   - emptyAbsent: members whose empty string means that they were not given.
//   - limits: bounds that the documentation states and the model omits.
//   - secret: members that must never be printed.
//
// A member is written Shape.Member, or *.Member for every request that has it (for secret: every shape).
package facts

import "embed"

// Files are the models and overlay.json.
//
//go:embed *.json
var Files embed.FS

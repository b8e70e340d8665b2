// Package wire turns the two AWS protocols that Keyframe speaks into plain Go structs and back: Query requests with XML
// answers (ElastiCache) and JSON 1.1 both ways (MemoryDB).
//
// A shape is a struct whose fields are pointers to scalars (*string, *bool, *int32, *float64, *time.Time, or a named
// string: an enum or Secret), pointers to structs, or slices of these without the pointer. nil means absent, and absent
// is not zero. What the API promises about a field stands in its tags:
//
//	Tags []Tag `wire:"Tags,item=Tag,max=200"`
//	Id *string `wire:"UserId,required,min=1" pattern:"[a-zA-Z][a-zA-Z0-9\\-]*"`
//
// The first word is the name on the wire. Then: required; min= and max= (characters of a string, elements of a list, or
// the value of a number); item= the element name of a list; emin= and emax= the bounds of each element, with the tag
// epattern beside pattern; also= a second XML element that repeats the field; emptyabsent: an empty string is no value.
//
// Everything that comes in is untrusted: lists, nesting and the names that are remembered are capped, repeated parameters
// and text after the JSON document are refused. The caller caps the body; memory is a small multiple of it.
// Values are only in a ValidationError's Parameter and Reason when the API itself names them, so secrets cannot leak there.
package wire

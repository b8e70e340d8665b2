package wire

import "time"

// Shapes of the tests: one of everything that a model can hold.

type color string

func (color) Values() []string { return []string{"red", "green"} }

type pair struct {
	Key   *string `wire:"Key,required,min=1,max=4"`
	Value *string `wire:"Value"`
}

// chain contains itself, as no model does yet.
type chain struct {
	Name *string `wire:"Name"`
	Next *chain  `wire:"Next"`
	More []chain `wire:"More,item=One"`
}

type thing struct {
	Name   *string    `wire:"Name"`
	Flag   *bool      `wire:"Flag"`
	Count  *int32     `wire:"Count,min=1,max=100"`
	Ratio  *float64   `wire:"Ratio"`
	When   *time.Time `wire:"When"`
	Color  *color     `wire:"Color"`
	Token  *Secret    `wire:"Token,min=4"`
	Bucket *string    `wire:"Bucket,emptyabsent"`
	Pair   *pair      `wire:"Pair"`
	Tags   []pair     `wire:"Tags,item=Tag,max=2"`
	Words  []string   `wire:"Words,min=1,emin=2,emax=5" epattern:"[a-z]+"`
	Nums   []int32    `wire:"Nums,item=Num,also=OtherNums"`
	Colors []color    `wire:"Colors"`
}

type named struct {
	First *string `wire:"First,required,max=3" pattern:"[a-z]*"`
	Count *int32  `wire:"Count,min=2"`
	Last  *string `wire:"Last,required"`
}

func ptr[T any](v T) *T { return &v }

var (
	queryAPI = &API{Name: "test", Version: "2020-01-01", Protocol: Query, Namespace: "http://example.com/doc/"}
	jsonAPI  = &API{Name: "test", Version: "2020-01-01", Protocol: JSON, TargetPrefix: "Test"}
	opThing  = NewOp[thing, thing](queryAPI, "DoThing", "DoThingResult").Operation
)

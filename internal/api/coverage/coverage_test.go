package coverage

import (
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/api/wire"
)

func table() *wire.Service {
	api := &wire.API{Name: "test", Title: "Amazon Test", Version: "2020-01-01", Protocol: wire.JSON}
	var ops []*wire.Operation
	for _, name := range []string{"CopyIt", "BuyIt", "ListIt", "FlyIt"} {
		ops = append(ops, wire.NewOp[struct{}, struct{}](api, name, "").Operation)
	}
	return wire.NewService(api, ops, nil)
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	s, err := New(table(), []Op{{"FlyIt", Unsupported, "nothing flies here"}, {"CopyIt", Served, ""}, {"ListIt", Empty, "there is none"}, {"BuyIt", Served, "for free"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `<!-- Generated from the operation tables and the routes of the faces (internal/api/coverage). Do not edit. -->

# API coverage

Every operation of each API, and what Keyframe does with a call to it.

| API | Operations | Served | Empty by nature | Not supported yet | Not supported |
|---|---:|---:|---:|---:|---:|
| Amazon Test 2020-01-01 | 4 | 2 | 1 | 0 | 1 |

## Amazon Test

### Served

- ` + "`BuyIt`: for free\n- `CopyIt`" + `

### Empty by nature

- ` + "`ListIt`" + `: there is none

### Not supported

- ` + "`FlyIt`" + `: nothing flies here
`
	if got := Markdown([]Service{s}); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestEveryOperationIsDecided(t *testing.T) {
	t.Parallel()
	_, err := New(table(), []Op{{"FlyIt", Unsupported, ""}, {"CopyIt", Served, ""}, {"CopyIt", Served, ""}, {"SingIt", Served, ""}, {"ListIt", "perhaps", ""}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"FlyIt: not supported, but no reason", "CopyIt: decided twice", "SingIt: Amazon Test has no such", "ListIt: unknown status", "BuyIt: neither served"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

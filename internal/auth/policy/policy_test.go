package policy

import (
	"strings"
	"testing"
)

const (
	own   = "arn:aws:elasticache:us-east-1:111111111111:serverlesscachesnapshot:s"
	other = "arn:aws:elasticache:us-east-1:222222222222:serverlesscachesnapshot:s"
	act   = "elasticache:CopyServerlessCacheSnapshot"
)

var root = Identity{Account: "111111111111", ARN: "arn:aws:iam::111111111111:root", Root: true}

func TestDecide(t *testing.T) {
	t.Parallel()
	notRoot := root
	notRoot.Root = false
	for name, c := range map[string]struct {
		who   Identity
		needs []Need
		want  bool
	}{
		"own":                        {root, []Need{{Action: act, Resource: own}}, true},
		"own, twice":                 {root, []Need{{Action: act, Resource: own}, {Action: act, Resource: "*"}}, true},
		"other account":              {root, []Need{{Action: act, Resource: other}}, false},
		"own and other":              {root, []Need{{Action: act, Resource: own}, {Action: act, Resource: other}}, false},
		"every resource":             {root, []Need{{Action: act, Resource: "*"}}, true},
		"bucket of nobody else":      {root, []Need{{Action: "s3:PutObject", Resource: "arn:aws:s3:::b/k"}}, true},
		"own bucket":                 {root, []Need{{Action: "s3:PutObject", Resource: "arn:aws:s3:::b/k", Owner: root.Account}}, true},
		"bucket of another":          {root, []Need{{Action: "s3:PutObject", Resource: "arn:aws:s3:::b/k", Owner: "222222222222"}}, false},
		"the ARN beats the owner":    {root, []Need{{Action: act, Resource: other, Owner: root.Account}}, false},
		"no needs":                   {root, nil, false},
		"no ARN":                     {root, []Need{{Action: act, Resource: "s"}}, false},
		"empty resource":             {root, []Need{{Action: act}}, false},
		"no action":                  {root, []Need{{Resource: own}}, false},
		"action without service":     {root, []Need{{Action: "Copy", Resource: own}}, false},
		"not root, no policies":      {notRoot, []Need{{Action: act, Resource: own}}, false},
		"nobody":                     {Identity{}, []Need{{Action: act, Resource: own}}, false},
		"nobody with a root's claim": {Identity{Root: true}, []Need{{Action: act, Resource: "*"}}, false},
	} {
		if got := Decide(c.who, c.needs...); got.Allowed != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	got := Decide(root, Need{Action: act, Resource: own}, Need{Action: act, Resource: other}).Message()
	want := "User: " + root.ARN + " is not authorized to perform: " + act + " on resource: " + other +
		" because no identity-based policy allows the " + act + " action"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzDecide(f *testing.F) {
	f.Add(act, own, "")
	f.Add(act, "arn:aws:s3:::b/k", "222222222222")
	f.Fuzz(func(t *testing.T, action, resource, owner string) {
		d := Decide(root, Need{Action: action, Resource: resource, Owner: owner})
		if d.Allowed && strings.HasPrefix(resource, "arn:aws:elasticache:us-east-1:2") {
			t.Fatalf("allowed %q on %q", action, resource)
		}
		if !d.Allowed && d.Message() == "" {
			t.Fatal("a denial without words")
		}
	})
}

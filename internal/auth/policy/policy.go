// Package policy decides whether a principal may do what a request needs. It is pure: no I/O, no clock.
//
// Today there is one sort of identity, the root of an account, which may do everything with the resources of its own
// account and nothing with those of others. Policy documents of users and roles will join Identity and be read here;
// every route already names its actions, resources and condition values.
package policy

import (
	"fmt"
	"strings"
)

// Need is one permission that a request needs.
type Need struct {
	Action   string // such as elasticache:CopyServerlessCacheSnapshot
	Resource string // ARN, or * for an action that is about no resource
	// Owner is the account that the resource belongs to, where its ARN does not say it: S3 buckets and objects.
	// Empty means the account of the principal.
	Owner string
	// Conditions are the values of condition keys, such as aws:RequestTag/team, that a policy may ask for.
	Conditions map[string][]string
}

// Identity is who asks, with everything that grants or denies.
type Identity struct {
	Account string // twelve digits
	ARN     string // as denials name it
	Root    bool   // the account's own root
}

// Decision is the outcome. The zero Decision denies.
type Decision struct {
	Allowed bool
	Need    Need   // the first need that was denied
	Reason  string // why, as the end of AWS's sentence
	arn     string
}

// Message is the sentence that AWS answers to a denied request.
func (d Decision) Message() string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because %s", d.arn, d.Need.Action, d.Need.Resource, d.Reason)
}

// Decide allows a request if every one of its needs is allowed. A request without needs is denied: its route forgot them.
func Decide(who Identity, needs ...Need) Decision {
	if len(needs) == 0 {
		return Decision{Reason: "the operation does not say which permission it needs", arn: who.ARN}
	}
	for _, n := range needs {
		if reason := denied(who, n); reason != "" {
			return Decision{Need: n, Reason: reason, arn: who.ARN}
		}
	}
	return Decision{Allowed: true}
}

func denied(who Identity, n Need) string {
	noPolicy := "no identity-based policy allows the " + n.Action + " action"
	service, verb, ok := strings.Cut(n.Action, ":")
	if !ok || service == "" || verb == "" || who.Account == "" || !who.Root {
		return noPolicy
	}
	owner, ok := ownerOf(n, who.Account)
	if !ok {
		return "the resource is not an ARN"
	}
	if owner != who.Account {
		return noPolicy
	}
	return ""
}

// ownerOf finds the account of a resource.
func ownerOf(n Need, caller string) (string, bool) {
	owner := n.Owner
	if n.Resource != "*" {
		part := strings.SplitN(n.Resource, ":", 6)
		if len(part) != 6 || part[0] != "arn" || part[1] == "" || part[2] == "" || part[5] == "" {
			return "", false
		}
		if part[4] != "" {
			owner = part[4]
		}
	}
	if owner == "" {
		owner = caller
	}
	return owner, true
}

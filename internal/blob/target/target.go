// Package target is where exported snapshots go, and where RDB files to restore from lie: the built-in buckets, or a foreign S3 endpoint.
//
// The built-in buckets know Keyframe's accounts: a bucket is open to its owner's account only. A foreign endpoint knows only the
// credentials that Keyframe was given for it. On AWS itself region and owning account are checked as AWS does; elsewhere every account of
// this Keyframe may use every bucket that those credentials open.
package target

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/internal/resource"
)

// What can be wrong with an object; test with errors.Is. Anything else is a failure of the store or the network, and may pass.
var (
	ErrNoBucket  = errors.New("the bucket does not exist")
	ErrNoObject  = errors.New("the object does not exist")
	ErrDenied    = errors.New("access to the object was denied")
	ErrExists    = errors.New("an object of this key exists already")
	ErrCommitted = errors.New("an earlier run committed this object") // Create found an object with its own token
)

// Info describes an object.
type Info struct {
	Size  int64  // bytes
	ETag  string // without quotes
	Token string // that it was created with; empty for objects that Create did not make
}

// Writer takes the bytes of one object in order. It is for one goroutine.
type Writer interface {
	io.Writer
	// Finish brings all bytes to their place, so that little is left for Commit to do: of several objects that are to appear together, all are
	// finished before the first is committed. It need not be called; nothing may be written after it.
	Finish() error
	// Commit makes the object durable and visible, whole. ErrExists if the key was taken meanwhile. After any other error it can be there:
	// Create with the same token tells.
	Commit() error
	// Abort drops what was written. After Commit it does nothing.
	Abort()
}

// tokenName is the name of the user metadata that holds the token.
const tokenName = "keyframe-export"

// store is one of the two kinds of place.
type store interface {
	// look reports the first obstacle to creating key, in the order of the obstacles.
	look(ctx context.Context, account, region, bucket, key string) (obstacle, error)
	create(ctx context.Context, account, bucket, key, token string) (Writer, error)
	open(ctx context.Context, account, bucket, key string) (io.ReadCloser, Info, error)
	stat(ctx context.Context, account, bucket, key string) (Info, error)
	remove(ctx context.Context, account, bucket, key string) error
	abortLeftovers(ctx context.Context, account, bucket, key string) error
}

// obstacle is what stands in the way of an export.
type obstacle int

const (
	clear obstacle = iota
	noBucket
	wrongRegion
	wrongOwner
	noRead
	noWrite
	noReadACP
	keyTaken
)

// Target is a place that exports go to. Make one with BuiltIn or Foreign; copies are the same place.
type Target struct{ store store }

// Probe checks, before an export is accepted, what can be checked: that the bucket exists, in the region, owned by the account, that reading,
// writing and reading its ACL are allowed, and that the key is free. It fails with *resource.Error{InvalidValue, TypeParameter,
// "S3BucketName"} and AWS's text for the first of these, in this order, that does not hold. Nothing visible is written.
//
// Service is the API that asks, elasticache or memorydb; its texts name it.
func (t Target) Probe(ctx context.Context, service, account, region, bucket, key string) error {
	o, err := t.store.look(ctx, account, region, bucket, key)
	if err != nil {
		return fmt.Errorf("probe bucket %s: %w", bucket, err)
	}
	return o.refusal(service, bucket, key)
}

func (o obstacle) refusal(service, bucket, key string) error {
	refuse := func(format string, args ...any) error {
		return resource.Errorf(resource.InvalidValue, resource.TypeParameter, "S3BucketName", format, args...)
	}
	brand := "ElastiCache"
	if service == "memorydb" {
		brand = "MemoryDB"
	}
	notGranted := brand + " has not been granted %s permissions %s on the S3 Bucket."
	switch o {
	case noBucket:
		return refuse("The S3 bucket %s does not exist.", bucket)
	case wrongRegion:
		return refuse("The S3 bucket %s is outside of the region.", bucket)
	case wrongOwner:
		return refuse("The S3 bucket %s is not owned by the authenticated user.", bucket)
	case noRead:
		return refuse(notGranted, "READ", bucket)
	case noWrite:
		return refuse(notGranted, "WRITE", bucket)
	case noReadACP:
		return refuse(notGranted, "READ_ACP", bucket)
	case keyTaken:
		return refuse("The S3 bucket %s already contains an object with key %s.", bucket, key)
	}
	return nil
}

// NotPermitted is the refusal of a caller whose own policies do not allow what an export does to the bucket.
func NotPermitted() error {
	return resource.Errorf(resource.InvalidValue, resource.TypeParameter, "S3BucketName",
		"The authenticated user does not have sufficient permissions to perform the desired activity.")
}

// Create begins an object that must not exist yet; it never overwrites. The token names the work that the object comes from, such as a job's
// ID with a shard: when an earlier run of the same work committed the object and then died, Create and Commit know it by the token, and
// Create fails with ErrCommitted, Commit succeeds. An empty token is never known again. Cancelling ctx fails the writer.
// Errors: ErrExists, ErrCommitted, ErrNoBucket, ErrDenied.
func (t Target) Create(ctx context.Context, account, bucket, key, token string) (Writer, error) {
	if token == "" {
		token = rand.Text()
	}
	have, err := t.store.stat(ctx, account, bucket, key)
	switch {
	case err == nil && have.Token == token:
		return nil, fmt.Errorf("export to %s/%s: %w", bucket, key, ErrCommitted)
	case err == nil:
		return nil, fmt.Errorf("export to %s/%s: %w", bucket, key, ErrExists)
	case !errors.Is(err, ErrNoObject):
		return nil, fmt.Errorf("export to %s/%s: %w", bucket, key, err)
	}
	w, err := t.store.create(ctx, account, bucket, key, token)
	if err != nil {
		return nil, fmt.Errorf("export to %s/%s: %w", bucket, key, err)
	}
	return w, nil
}

// Open reads an object from its start. The reader outlives broken connections; if the object changes meanwhile it fails.
// Errors: ErrNoBucket, ErrNoObject, ErrDenied.
func (t Target) Open(ctx context.Context, account, bucket, key string) (io.ReadCloser, Info, error) {
	r, info, err := t.store.open(ctx, account, bucket, key)
	if err != nil {
		return nil, Info{}, fmt.Errorf("read %s/%s: %w", bucket, key, err)
	}
	return r, info, nil
}

// Stat describes an object. Errors: ErrNoBucket, ErrNoObject, ErrDenied.
func (t Target) Stat(ctx context.Context, account, bucket, key string) (Info, error) {
	info, err := t.store.stat(ctx, account, bucket, key)
	if err != nil {
		return Info{}, fmt.Errorf("look at %s/%s: %w", bucket, key, err)
	}
	return info, nil
}

// Remove takes back an object that was created with the token. One that is not there, or has another token, is fine.
func (t Target) Remove(ctx context.Context, account, bucket, key, token string) error {
	have, err := t.store.stat(ctx, account, bucket, key)
	if err == nil && token != "" && have.Token == token {
		err = t.store.remove(ctx, account, bucket, key)
	}
	if err != nil && !errors.Is(err, ErrNoObject) && !errors.Is(err, ErrNoBucket) {
		return fmt.Errorf("take back %s/%s: %w", bucket, key, err)
	}
	return nil
}

// AbortLeftovers drops what writers of key that were killed left in the store. No writer of that key may be at work.
func (t Target) AbortLeftovers(ctx context.Context, account, bucket, key string) error {
	if err := t.store.abortLeftovers(ctx, account, bucket, key); err != nil {
		return fmt.Errorf("clean up %s/%s: %w", bucket, key, err)
	}
	return nil
}

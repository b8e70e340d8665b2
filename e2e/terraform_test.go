package e2e

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"
	"github.com/google/go-cmp/cmp"
)

// TestTerraform replays what the Terraform AWS provider does for each of its resources of ElastiCache and MemoryDB: create, wait, read back
// without difference, update argument by argument, and delete. A status that the provider does not know fails the test, as it would fail an apply.
func TestTerraform(t *testing.T) {
	t.Parallel()
	s := serve(t)
	_, key := s.createKey(t)
	for name, replay := range map[string]func(*provider){
		"elasticache_subnet_group": (*provider).cacheSubnetGroups, "elasticache_parameter_group": (*provider).cacheParameterGroups,
		"elasticache_user": (*provider).cacheUsers, "elasticache_user_group": (*provider).cacheUserGroups,
		"elasticache_serverless_cache": (*provider).serverlessCaches, "elasticache_cluster": (*provider).cacheClusters,
		"elasticache_cluster_memcached": (*provider).memcachedClusters, "elasticache_replication_group": (*provider).replicationGroups,
		"elasticache_replication_group_encrypted": (*provider).encryptedGroups, "elasticache_replication_group_cluster_mode": (*provider).shardedGroups,
		"memorydb_subnet_group": (*provider).subnetGroups, "memorydb_parameter_group": (*provider).parameterGroups,
		"memorydb_user_acl": (*provider).usersAndACLs, "memorydb_cluster_snapshot": (*provider).clustersAndSnapshots,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replay(&provider{t, t.Context(), s.elasticache(), memorydb.NewFromConfig(s.config("us-east-1")), key})
		})
	}
}

// provider makes the calls that Terraform's provider makes.
type provider struct {
	t   *testing.T
	ctx context.Context
	ec  *elasticache.Client
	mdb *memorydb.Client
	key string // ARN of a KMS key
}

// defaultTags are the provider's default_tags, which every resource gets besides its own.
var defaultTags = map[string]string{"managed-by": "terraform", "team": "caches"}

// args are the arguments and attributes of a resource by the names that they have in Terraform. Sets are sorted lists.
type args map[string]any

// res is one kind of resource.
type res struct {
	create func(in args) (id string)
	read   func(id string, known args) args // nil when there is none
	update func(id string, was, now args)   // nil when only tags can change
	remove func(id string, finally *string) // with a name for a final snapshot, where the resource has such an argument
	tags   func(arn string) map[string]string
	tag    func(arn string, remove []string, add map[string]string)
	bare   []string // arguments that the provider expects to be empty when the configuration has none
	fixed  []string // attributes that must not change as long as the resource lives
}

// made is a resource that Terraform made, with its configuration and its state.
type made struct {
	res
	p             *provider
	id            string
	config, state args
}

// life takes one resource through its life: the first step creates it, each further one changes the arguments that it names.
func (p *provider) life(r res, steps ...args) {
	p.t.Helper()
	m := p.make(r, steps[0])
	m.apply(steps[1:]...)
	m.end("")
}

func (p *provider) make(r res, config args) *made {
	p.t.Helper()
	m := &made{res: r, p: p}
	m.configure(config)
	m.id = r.create(m.config)
	m.check(config)
	return m
}

func (m *made) apply(steps ...args) {
	m.p.t.Helper()
	for _, step := range steps {
		before := m.state
		m.configure(step)
		m.change(m.p, m.id, m.state, m.config)
		m.check(step)
		for _, name := range m.fixed {
			if !reflect.DeepEqual(before[name], m.state[name]) {
				m.p.t.Errorf("%s, %v: %s was %v and is %v", m.id, step, name, before[name], m.state[name])
			}
		}
	}
}

func (m *made) configure(step args) {
	m.config = maps.Clone(m.config)
	if m.config == nil {
		m.config = args{}
	}
	maps.Copy(m.config, step)
	own, _ := m.config["tags"].(map[string]string)
	all := maps.Clone(defaultTags)
	maps.Copy(all, own)
	m.config["tags_all"] = all
}

// check reads the resource twice: a plan after an apply is empty, and so is one after that.
func (m *made) check(step args) {
	m.p.t.Helper()
	m.state = m.refresh(m.p, m.id, m.config)
	for name, want := range m.config {
		if differs(m.state, m.config, name) {
			m.p.t.Errorf("%s, %v: %s is %#v, and reads back as %#v", m.id, step, name, want, m.state[name])
		}
	}
	for _, name := range m.bare {
		if unset(m.config[name]) && !unset(m.state[name]) {
			m.p.t.Errorf("%s, %v: %s was not set, and reads back as %#v", m.id, step, name, m.state[name])
		}
	}
	if diff := cmp.Diff(m.state, m.refresh(m.p, m.id, m.config)); diff != "" {
		m.p.t.Errorf("%s, %v: a second read differs from the first: %s", m.id, step, diff)
	}
}

// end destroys a resource, twice: the provider takes it for granted that what is not there is deleted.
func (m *made) end(finalSnapshot string) {
	m.p.t.Helper()
	m.remove(m.id, args{"name": finalSnapshot}.str("name"))
	if left := m.read(m.id, args{}); left != nil {
		m.p.t.Errorf("%s is still there: %v", m.id, left)
	}
	m.remove(m.id, nil)
}

// change makes the calls of an update: tags first, as the provider does.
func (r res) change(p *provider, id string, state, config args) {
	was, now := state["tags_all"].(map[string]string), config["tags_all"].(map[string]string)
	var gone []string
	added := map[string]string{}
	for k := range was {
		if _, ok := now[k]; !ok {
			gone = append(gone, k)
		}
	}
	for k, v := range now {
		if was[k] != v {
			added[k] = v
		}
	}
	if len(gone)+len(added) > 0 {
		r.tag(state["arn"].(string), gone, added)
	}
	for name := range config {
		if name != "tags" && name != "tags_all" && r.update != nil && differs(state, config, name) {
			r.update(id, state, config)
			return
		}
	}
}

// refresh reads a resource and its tags.
func (r res) refresh(p *provider, id string, config args) args {
	p.t.Helper()
	state := r.read(id, config)
	if state == nil {
		p.t.Fatalf("%s is not there", id)
	}
	for name, value := range config {
		if _, read := state[name]; !read { // what a read does not set stays as it was set
			state[name] = value
		}
	}
	state["tags_all"] = r.tags(state["arn"].(string))
	return state
}

// differs tells whether a configuration asks for another value than a resource has. Terraform does not tell zero from absent.
func differs(state, config args, name string) bool {
	want, given := config[name]
	return given && !(unset(want) && unset(state[name])) && !reflect.DeepEqual(want, state[name])
}

func unset(v any) bool {
	if v == nil {
		return true
	}
	x := reflect.ValueOf(v)
	return x.IsZero() || (x.Kind() == reflect.Slice || x.Kind() == reflect.Map) && x.Len() == 0
}

// wait follows a status through the ones that the provider waits on to its target, which is empty for the end of a resource.
func (p *provider) wait(what string, pending []string, target string, status func() (string, bool)) {
	p.t.Helper()
	until(p.t, what+" "+target, func() (bool, error) {
		now, there := status()
		switch {
		case !there:
			if target != "" {
				p.t.Fatalf("%s is gone while Terraform waits until it is %s", what, target)
			}
			return true, nil
		case now == target:
			return true, nil
		case !slices.Contains(pending, now):
			p.t.Fatalf("Terraform aborts: unexpected state '%s' of %s, wanted target '%s'", now, what, target)
		}
		return false, nil
	})
}

// must ends the test when a call that Terraform needs fails.
func must[T any](p *provider) func(T, error) T {
	return func(v T, err error) T {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
		return v
	}
}

// isA tells whether an error is of one of the SDK's types.
func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// found is must for a call that may say that there is none, with the error E that the provider knows for it.
func found[E error, T any](p *provider, v T, err error) (T, bool) {
	p.t.Helper()
	if isA[E](err) {
		return v, false
	}
	return must[T](p)(v, err), true
}

// single is the one resource that a describe call with a name answers with.
func single[T any](p *provider, all []T) *T {
	p.t.Helper()
	if len(all) != 1 {
		p.t.Fatalf("%d results instead of one", len(all))
	}
	return &all[0]
}

// The arguments of a request: absent when the configuration has none, or zero.

func (a args) str(name string) *string {
	if v, _ := a[name].(string); v != "" {
		return &v
	}
	return nil
}

func (a args) num(name string) *int32 {
	if v, _ := a[name].(int); v != 0 {
		return aws.Int32(int32(v))
	}
	return nil
}

func (a args) yes(name string) *bool {
	if v, _ := a[name].(bool); v {
		return &v
	}
	return nil
}

// flag is an argument that the provider sends whether it is true or false, if the configuration has it.
func (a args) flag(name string) *bool {
	if v, ok := a[name].(bool); ok {
		return &v
	}
	return nil
}

func (a args) list(name string) []string {
	v, _ := a[name].([]string)
	return v
}

// given is the value of an argument that changed, zero or not; nil otherwise.
func given[T any](was, now args, name string) *T {
	if !differs(was, now, name) {
		return nil
	}
	v, _ := now[name].(T)
	return &v
}

func givenNum(was, now args, name string) *int32 {
	if v := given[int](was, now, name); v != nil {
		return aws.Int32(int32(*v))
	}
	return nil
}

// apart splits a change of a set into what to add and what to remove.
func apart(was, now args, name string) (add, remove []string) {
	old, wanted := was.list(name), now.list(name)
	for _, v := range wanted {
		if !slices.Contains(old, v) {
			add = append(add, v)
		}
	}
	for _, v := range old {
		if !slices.Contains(wanted, v) {
			remove = append(remove, v)
		}
	}
	return add, remove
}

// set is a list as Terraform keeps a set.
func set(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// cacheTags and cacheTag read and change tags of ElastiCache.
func (p *provider) cacheTags(arn string) map[string]string {
	out := must[*elasticache.ListTagsForResourceOutput](p)(p.ec.ListTagsForResource(p.ctx, &elasticache.ListTagsForResourceInput{ResourceName: &arn}))
	tags := map[string]string{}
	for _, tag := range out.TagList {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

func (p *provider) cacheTag(arn string, remove []string, add map[string]string) {
	if len(remove) > 0 {
		must[*elasticache.RemoveTagsFromResourceOutput](p)(p.ec.RemoveTagsFromResource(p.ctx, &elasticache.RemoveTagsFromResourceInput{ResourceName: &arn, TagKeys: remove}))
	}
	if len(add) > 0 {
		must[*elasticache.AddTagsToResourceOutput](p)(p.ec.AddTagsToResource(p.ctx, &elasticache.AddTagsToResourceInput{ResourceName: &arn, Tags: args{"tags_all": add}.cacheTags()}))
	}
}

func (a args) cacheTags() (tags []ectypes.Tag) {
	for k, v := range a["tags_all"].(map[string]string) {
		tags = append(tags, ectypes.Tag{Key: &k, Value: &v})
	}
	return tags
}

// clusterTags and clusterTag read and change tags of MemoryDB.
func (p *provider) clusterTags(arn string) map[string]string {
	out := must[*memorydb.ListTagsOutput](p)(p.mdb.ListTags(p.ctx, &memorydb.ListTagsInput{ResourceArn: &arn}))
	tags := map[string]string{}
	for _, tag := range out.TagList {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

func (p *provider) clusterTag(arn string, remove []string, add map[string]string) {
	if len(remove) > 0 {
		must[*memorydb.UntagResourceOutput](p)(p.mdb.UntagResource(p.ctx, &memorydb.UntagResourceInput{ResourceArn: &arn, TagKeys: remove}))
	}
	if len(add) > 0 {
		must[*memorydb.TagResourceOutput](p)(p.mdb.TagResource(p.ctx, &memorydb.TagResourceInput{ResourceArn: &arn, Tags: args{"tags_all": add}.clusterTags()}))
	}
}

func (a args) clusterTags() (tags []mdbtypes.Tag) {
	for k, v := range a["tags_all"].(map[string]string) {
		tags = append(tags, mdbtypes.Tag{Key: &k, Value: &v})
	}
	return tags
}

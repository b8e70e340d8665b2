package app

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/elasticache"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/memorydb"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// door is the gateway with both faces on a metastore of its own. No job runs.
type door struct {
	t       *testing.T
	gateway *gateway.Gateway
	faces   []gateway.Face
	lookup  func(string) (iam.Principal, iam.Secret, bool)
	db      *metastore.DB
	side    *sql.Conn // to the same file, past the metastore: sees whether it was written to, and puts everything back
	tables  []string
	log     bytes.Buffer
	creds   sigv4.Credentials
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d, dir := &door{t: t}, t.TempDir()
	path := filepath.Join(dir, "meta.db")
	var err error
	d.db, err = metastore.Open(t.Context(), path)
	d.must(err)
	t.Cleanup(func() { d.db.Close() })
	accounts, err := iam.Open(iam.Options{Path: filepath.Join(dir, "credentials"), AccessKeyID: "AKIAHOSTILE00000000A", SecretAccessKey: iam.NewSecret("the-key-of-the-hostile-test-0000000000000")})
	d.must(err)
	d.creds = sigv4.Credentials{AccessKeyID: "AKIAHOSTILE00000000A", Secret: iam.NewSecret("the-key-of-the-hostile-test-0000000000000")}
	ring, err := kms.OpenLocal(dir, time.Now)
	d.must(err)
	box, err := buckets.Open(filepath.Join(dir, "buckets"))
	d.must(err)
	log := slog.New(slog.NewTextHandler(&d.log, nil))
	catalog := &engine.Catalog{}
	for e, v := range map[resource.Engine]string{resource.Valkey: "8.0.1", resource.Redis: "7.0.15", resource.Memcached: "1.6.18"} {
		version, err := engine.ParseVersion(v)
		d.must(err)
		catalog.Installed = append(catalog.Installed, engine.Installed{Engine: e, Version: version, Path: "/usr/bin/" + string(e)})
	}
	c := control.New(control.Options{DB: d.db, Queue: job.New(d.db, job.Options{Logger: log}), Keys: ring, Targets: target.BuiltIn(box), Engines: catalog,
		Quota: control.Quota{ServerlessCaches: 40, ServerlessSnapshots: 24, NodeSnapshots: 20, SnapshotsKept: 100, TagsPerResource: 50}, Now: time.Now})
	d.faces, d.lookup = []gateway.Face{elasticache.New(c), memorydb.New(c)}, accounts.Lookup
	d.gateway = gateway.New(gateway.Options{Faces: d.faces, Lookup: d.lookup, Log: log})
	raw, err := sql.Open("sqlite", "file://"+path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
	d.must(err)
	t.Cleanup(func() { raw.Close() })
	d.side, err = raw.Conn(t.Context())
	d.must(err)
	d.settle()
	template := filepath.Join(dir, "template.db")
	d.sql("VACUUM INTO '" + template + "'")
	d.sql("ATTACH '" + template + "' AS template")
	rows, err := d.side.QueryContext(t.Context(), "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose%'")
	d.must(err)
	for rows.Next() {
		var name string
		d.must(rows.Scan(&name))
		d.tables = append(d.tables, name)
	}
	d.must(rows.Err())
	rows.Close()
	return d
}

func (d *door) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *door) sql(query string) {
	d.t.Helper()
	_, err := d.side.ExecContext(context.Background(), query)
	d.must(err)
}

// restore puts everything back to where the test began.
func (d *door) restore() {
	d.t.Helper()
	var all strings.Builder
	all.WriteString("BEGIN IMMEDIATE;")
	for _, name := range d.tables {
		fmt.Fprintf(&all, "DELETE FROM main.%s; INSERT INTO main.%s SELECT * FROM template.%s;", name, name, name)
	}
	d.sql(all.String() + "COMMIT")
}

// version changes whenever somebody else writes to the metastore.
func (d *door) version() (v int) {
	d.t.Helper()
	d.must(d.side.QueryRowContext(context.Background(), "PRAGMA main.data_version").Scan(&v))
	return v
}

// settle makes one of everything, and ends what goes on with it.
func (d *door) settle() {
	d.t.Helper()
	for _, r := range []struct{ service, op, body string }{
		{"elasticache", "CreateCacheParameterGroup", `{"CacheParameterGroupName":"params","CacheParameterGroupFamily":"valkey8","Description":"d"}`},
		{"elasticache", "CreateCacheSubnetGroup", `{"CacheSubnetGroupName":"subnets","CacheSubnetGroupDescription":"d","SubnetIds":["subnet-1"]}`},
		{"elasticache", "CreateUser", `{"UserId":"user","UserName":"user","Engine":"valkey","AccessString":"on ~* +@all","Passwords":["` + secret + `-a"]}`},
		{"elasticache", "CreateUser", `{"UserId":"user-two","UserName":"user-two","Engine":"valkey","AccessString":"on ~* +@all","Passwords":["` + secret + `-b"]}`},
		{"elasticache", "CreateUserGroup", `{"UserGroupId":"users","Engine":"valkey","UserIds":["user"]}`},
		{"elasticache", "CreateServerlessCache", `{"ServerlessCacheName":"serverless","Engine":"valkey"}`},
		{"elasticache", "CreateServerlessCache", `{"ServerlessCacheName":"items","Engine":"memcached"}`},
		{"elasticache", "CreateCacheCluster", `{"CacheClusterId":"alone","Engine":"valkey","CacheNodeType":"cache.t3.micro","NumCacheNodes":1}`},
		{"elasticache", "CreateCacheCluster", `{"CacheClusterId":"mem","Engine":"memcached","CacheNodeType":"cache.t3.micro","NumCacheNodes":3}`},
		{"elasticache", "CreateReplicationGroup", `{"ReplicationGroupId":"plain","ReplicationGroupDescription":"d","Engine":"valkey","CacheNodeType":"cache.t3.micro","NumCacheClusters":3,
			"AutomaticFailoverEnabled":true,"TransitEncryptionEnabled":true,"AuthToken":"` + secret + `-c"}`},
		{"elasticache", "CreateReplicationGroup", `{"ReplicationGroupId":"group","ReplicationGroupDescription":"d","Engine":"valkey","CacheNodeType":"cache.t3.micro","NumNodeGroups":3,
			"ReplicasPerNodeGroup":1,"AutomaticFailoverEnabled":true,"TransitEncryptionEnabled":true,"UserGroupIds":["users"]}`},
		{"memorydb", "CreateParameterGroup", `{"ParameterGroupName":"params","Family":"memorydb_valkey8"}`},
		{"memorydb", "CreateSubnetGroup", `{"SubnetGroupName":"subnets","SubnetIds":["subnet-1"]}`},
		{"memorydb", "CreateUser", `{"UserName":"user","AccessString":"on ~* +@all","AuthenticationMode":{"Type":"password","Passwords":["` + secret + `-d"]}}`},
		{"memorydb", "CreateUser", `{"UserName":"user-two","AccessString":"on ~* +@all","AuthenticationMode":{"Type":"password","Passwords":["` + secret + `-e"]}}`},
		{"memorydb", "CreateACL", `{"ACLName":"acl","UserNames":["user"]}`},
		{"memorydb", "CreateCluster", `{"ClusterName":"cluster","ACLName":"acl","NodeType":"db.t4g.small","Engine":"valkey","NumShards":2,"NumReplicasPerShard":1}`},
	} {
		d.ok(r.service, r.op, r.body)
	}
	d.ok("memorydb", "CreateCluster", `{"ClusterName":"second","ACLName":"open-access","NodeType":"db.t4g.small"}`)
	d.available()
	d.ok("elasticache", "CreateServerlessCacheSnapshot", `{"ServerlessCacheName":"serverless","ServerlessCacheSnapshotName":"kept"}`)
	d.ok("elasticache", "CreateServerlessCacheSnapshot", `{"ServerlessCacheName":"items","ServerlessCacheSnapshotName":"kept-items"}`)
	d.ok("elasticache", "CreateSnapshot", `{"ReplicationGroupId":"group","SnapshotName":"kept"}`)
	d.ok("memorydb", "CreateSnapshot", `{"ClusterName":"cluster","SnapshotName":"kept"}`)
	d.available()
}

// available does what jobs would.
func (d *door) available() {
	d.t.Helper()
	d.must(d.db.Update(d.t.Context(), func(tx *metastore.Tx) error {
		for c, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			c.Status, c.Endpoint = resource.CacheAvailable, resource.Endpoint{Address: "127.0.0.1", Port: 6379}
			if err := tx.UpdateCache(c); err != nil {
				return err
			}
			nodes, err := tx.NodesOf(c.ID)
			if err != nil {
				return err
			}
			for _, n := range nodes {
				n.Status, n.Address, n.Host = resource.NodeAvailable, "127.0.0.1", "here"
				if err := tx.UpdateNode(n); err != nil {
					return err
				}
			}
		}
		all, err := tx.AllSnapshots()
		for _, s := range all {
			s.Status, s.CreatedAt, s.Bytes = resource.SnapshotAvailable, time.Now(), 100
			err = tx.UpdateSnapshot(s)
		}
		return err
	}))
	d.sql("DELETE FROM jobs")
}

func (d *door) ok(service, op, body string) {
	d.t.Helper()
	var tree map[string]any
	d.must(json.Unmarshal([]byte(body), &tree))
	if status, text := d.call(operation(service, op), tree); status != http.StatusOK {
		d.t.Fatalf("%s: %d %s", op, status, text)
	}
}

func operation(service, name string) *wire.Operation {
	if service == "memorydb" {
		return mdbapi.Service.Operation(name)
	}
	return ecapi.Service.Operation(name)
}

// call sends a request, whose members need not be of the right types.
func (d *door) call(op *wire.Operation, tree map[string]any) (int, string) {
	d.t.Helper()
	var body []byte
	var err error
	if op.API.Protocol == wire.JSON {
		body, err = json.Marshal(tree)
		d.must(err)
	} else {
		values := url.Values{"Action": {op.Name}, "Version": {op.API.Version}}
		form(values, "", tree)
		body = []byte(values.Encode())
	}
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if op.API.Protocol == wire.JSON {
		r.Header.Set("Content-Type", op.API.ContentType())
		r.Header.Set("X-Amz-Target", op.API.TargetPrefix+"."+op.Name)
	}
	d.must(sigv4.Sign(r, d.creds, "us-east-1", op.API.Name, sigv4.PayloadHash(body), time.Now()))
	w := httptest.NewRecorder()
	d.gateway.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// form writes a tree as the parameters of a Query request.
func form(values url.Values, key string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		if len(v) == 0 && key != "" {
			values.Set(key, "")
		}
		for name, value := range v {
			form(values, strings.TrimPrefix(key+"."+name, "."), value)
		}
	case []any:
		if len(v) == 0 {
			values.Set(key, "")
		}
		for i, value := range v {
			form(values, key+".member."+strconv.Itoa(i+1), value)
		}
	default:
		values.Set(key, fmt.Sprint(v))
	}
}

// secret begins every password and token of the test.
const secret = "hunter2-hunter2-hunter2"

// members are values that requests are right with, by the names of members; those of an operation come before.
var members = map[string]any{
	"ServerlessCacheName": "serverless", "ServerlessCacheSnapshotName": "kept", "SourceServerlessCacheSnapshotName": "kept", "TargetServerlessCacheSnapshotName": "new",
	"S3BucketName": "bucket", "CacheClusterId": "alone", "ReplicationGroupId": "group", "ReplicationGroupDescription": "d", "SnapshotName": "kept",
	"SourceSnapshotName": "kept", "TargetSnapshotName": "new", "CacheParameterGroupName": "params", "CacheParameterGroupFamily": "valkey8", "Description": "d",
	"CacheSubnetGroupName": "subnets", "CacheSubnetGroupDescription": "d", "SubnetIds": list("subnet-2"), "UserId": "user", "UserName": "user", "Engine": "valkey",
	"AccessString": "on ~app:* +@read", "UserGroupId": "users", "ApplyImmediately": true, "NodeGroupCount": 4, "NodeGroupId": "0001", "CacheNodeIdsToReboot": list("0001"),
	"ServiceUpdateName": "update", "ParameterNameValues": list(map[string]any{"ParameterName": "timeout", "ParameterValue": "30"}),
	"Tags": list(map[string]any{"Key": "k", "Value": "v"}), "TagKeys": list("k"),
	"ResourceName": "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:group", "ResourceArn": "arn:aws:memorydb:us-east-1:123456789012:cluster/cluster",
	"ClusterName": "cluster", "ClusterNames": list("cluster"), "ACLName": "acl", "ParameterGroupName": "params", "Family": "memorydb_valkey8", "SubnetGroupName": "subnets",
	"NodeType": "db.t4g.small", "ShardName": "0001", "MultiRegionClusterName": "none", "MultiRegionParameterGroupName": "none",
	"AuthenticationMode": map[string]any{"Type": "password", "Passwords": list(secret + "-f")},
}

func list(v ...any) []any { return v }

// whole are requests that need more, or others, than those members.
var whole = map[string]map[string]any{
	"CreateReplicationGroup": {"ReplicationGroupId": "new", "CacheNodeType": "cache.t3.micro", "NumNodeGroups": 2, "ReplicasPerNodeGroup": 1, "AutomaticFailoverEnabled": true},
	"CreateCacheCluster":     {"CacheClusterId": "new", "CacheNodeType": "cache.t3.micro", "NumCacheNodes": 1, "Engine": "redis"},
	"CreateServerlessCache":  {"ServerlessCacheName": "new"}, "CreateServerlessCacheSnapshot": {"ServerlessCacheSnapshotName": "new"},
	"CreateSnapshot": {"SnapshotName": "new", "ReplicationGroupId": "group"}, "CreateCacheParameterGroup": {"CacheParameterGroupName": "new"},
	"CreateCacheSubnetGroup": {"CacheSubnetGroupName": "new"}, "CreateUser": {"UserId": "new", "UserName": "new", "Passwords": list(secret + "-g")},
	"CreateUserGroup": {"UserGroupId": "new", "UserIds": list("user")}, "CreateCluster": {"ClusterName": "new", "Engine": "valkey"}, "CreateACL": {"ACLName": "new", "UserNames": list("user")},
	"CreateParameterGroup": {"ParameterGroupName": "new"}, "CreateSubnetGroup": {"SubnetGroupName": "new"},
	"IncreaseReplicaCount": {"NewReplicaCount": 2}, "DecreaseReplicaCount": {"ReplicationGroupId": "plain", "NewReplicaCount": 1},
	"ModifyReplicationGroup": {"ReplicationGroupDescription": "other"}, "ModifyCacheCluster": {"SnapshotRetentionLimit": 3}, "ModifyServerlessCache": {"Description": "other"},
	"ModifyUser": {"AccessString": "on ~* +@all"}, "ModifyUserGroup": {"UserIdsToAdd": list("user-two")}, "UpdateACL": {"UserNamesToAdd": list("user-two")},
	"UpdateUser": {"AccessString": "on ~* +@all"}, "UpdateCluster": {"Description": "other"}, "ResetCacheParameterGroup": {"ResetAllParameters": true}, "ResetParameterGroup": {"AllParameters": true},
	"ModifyCacheSubnetGroup": {"CacheSubnetGroupDescription": "other"}, "UpdateSubnetGroup": {"Description": "other"},
	"ModifyReplicationGroupShardConfiguration": {}, "ListAllowedNodeTypeModifications": {"ReplicationGroupId": "group"},
}

// refusedWhole are operations whose right request is still refused, since what it names does not exist.
var refusedWhole = []string{"ExportServerlessCacheSnapshot", "BatchApplyUpdateAction", "BatchStopUpdateAction", "DescribeMultiRegionParameters",
	"ListAllowedMultiRegionClusterUpdates", "RemoveTagsFromResource", "UntagResource", "DeleteACL", "DeleteUserGroup"}

func wholeRequest(op *wire.Operation) map[string]any {
	tree := map[string]any{}
	for i := range op.Input.NumField() {
		name, options, _ := strings.Cut(op.Input.Field(i).Tag.Get("wire"), ",")
		if strings.Contains(options, "required") && members[name] != nil {
			tree[name] = members[name]
		}
	}
	maps.Copy(tree, whole[op.Name])
	if op.Name == "CreateSnapshot" && op.API.Protocol == wire.JSON {
		delete(tree, "ReplicationGroupId")
	}
	if op.Name == "CreateUser" && op.API.Protocol == wire.JSON {
		tree = map[string]any{"UserName": "new", "AccessString": "on ~* +@all", "AuthenticationMode": members["AuthenticationMode"]}
	}
	return tree
}

// place is a member of a request, however deep.
type place struct {
	path  []string // names; every list on the way has one element
	shape reflect.Type
}

// places lists the members of a structure.
func places(t reflect.Type, before []string) (all []place) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("wire"), ",")
		p := place{append(slices.Clone(before), name), f.Type}
		if f.Type.Kind() == reflect.Pointer {
			p.shape = f.Type.Elem()
		}
		all = append(all, p)
		inner := p.shape
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() && len(p.path) < 4 {
			all = append(all, places(inner, p.path)...)
		}
	}
	return all
}

// with is a copy of the request in which the place has the value; nil takes it away.
func with(tree map[string]any, p place, in reflect.Type, value any) map[string]any {
	out := maps.Clone(tree)
	name := p.path[0]
	if len(p.path) == 1 {
		out[name] = value
		if value == nil {
			delete(out, name)
		}
		return out
	}
	var f reflect.StructField
	for i := range in.NumField() {
		if n, _, _ := strings.Cut(in.Field(i).Tag.Get("wire"), ","); n == name {
			f = in.Field(i)
		}
	}
	inner, many := f.Type.Elem(), f.Type.Kind() == reflect.Slice
	below := map[string]any{}
	switch v := out[name].(type) {
	case map[string]any:
		below = v
	case []any:
		if len(v) > 0 {
			if m, ok := v[0].(map[string]any); ok {
				below = m
			}
		}
	}
	below = with(below, place{p.path[1:], p.shape}, inner, value)
	if many {
		out[name] = list(below)
	} else {
		out[name] = below
	}
	return out
}

var strange = []any{nil, "", " ", "x", strings.Repeat("a", 300), strings.Repeat("é", 70_000), "a\nb\r\nc", "\x00", `"'\ ;$(id) #`, "*", "-", "..", "../../etc", "-1", "0", "default", "DEFAULT", "open-access", "arn:aws:s3:::",
	"arn:aws:s3:::bucket/a.rdb", "arn:aws:elasticache:us-east-1:999999999999:snapshot:kept", "arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:kept", "arn:aws:elasticache:us-east-1:123456789012:user:user", "arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:kept-items", "arn:aws:s3:::bucket/a.items", "arn::::::", "9999999999999999999999", "mon:23:30-mon:00:30", "25:00-26:00",
	"0-16383", "0-8191,", "16384-1", "8.0", "99.99", 1.5, true, list(), list("x"), map[string]any{}, map[string]any{"x": 1},
	"kept", "kept-items", "new", "serverless", "items", "alone", "mem", "plain", "plain-002", "group", "group-0001-001", "cluster", "cluster-0001-001", "user-two", "users", "acl", "params", "subnets", "0001", "0002",
	"valkey", "redis", "memcached", "cache.r7g.large", "db.r7g.large", "on ~* +@all", "on (~* +config|set)", "~a\nuser x on nopass ~* +@all", ">password", "us-east-1b", "bmV4dA==", "eyJhIjoxfQ=="}

// hostile are values for a place: hardly one is right.
func hostile(shape reflect.Type) []any {
	switch shape.Kind() {
	case reflect.Slice:
		var all []any
		for _, v := range hostile(shape.Elem()) {
			all = append(all, list(v))
		}
		long := make([]any, 1001)
		for i := range long {
			long[i] = "x" + strconv.Itoa(i)
		}
		return append(all, nil, list(), "x", list("user", "user"), list("user", "user-two"), list("0001", "0002"), list("0001", "0002", "0003"), list("params", nil), long, long[:999], map[string]any{})
	case reflect.Int32:
		return []any{nil, "", "x", -2147483648, -1, 0, 1, 2, 3, 5, 7, 36, 41, 100, 101, 501, 6379, 65535, 65536, 2147483647, "99999999999", 1.5, true, list(), map[string]any{}}
	case reflect.Bool:
		return []any{nil, "", "x", true, false, 1, list()}
	case reflect.Struct:
		if shape == reflect.TypeFor[time.Time]() {
			return []any{nil, "", "x", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00Z", 0, -1, 1e300, list()}
		}
		return []any{nil, "", "x", map[string]any{}, list(), list(map[string]any{})}
	}
	all := strange
	if shape == reflect.TypeFor[wire.Secret]() {
		return append(slices.Clone(strange), secret, secret+"-h", secret+"@/", secret+" \n", secret+"é\x00", strings.Repeat(secret, 20))
	}
	if e, ok := reflect.Zero(shape).Interface().(wire.Enum); ok {
		all = []any{nil, "", "x", 1, list()}
		for _, v := range e.Values() {
			all = append(all, v)
		}
	}
	return all
}

// Whatever a request says: it succeeds, or it is refused with a fault that the operation declares and has changed nothing. No secret of
// any of them is written down.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	random := rand.New(rand.NewSource(1))
	sent := 0
	for _, api := range []struct {
		service *wire.Service
		routes  []string
	}{{ecapi.Service, elasticache.New(nil).Routes()}, {mdbapi.Service, memorydb.New(nil).Routes()}} {
		for _, name := range api.routes {
			op := api.service.Operation(name)
			right := wholeRequest(op)
			if status, text := d.call(op, right); status != http.StatusOK && !slices.Contains(refusedWhole, name) {
				t.Errorf("%s is refused: %d %.300s", name, status, text)
			}
			d.restore()
			all := places(op.Input, nil)
			for _, p := range all {
				values := slices.Clone(hostile(p.shape))
				random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
				for _, v := range append(values[:min(len(values), mostValues)], nil) {
					d.try(op, with(right, p, op.Input, v))
					sent++
				}
			}
			for range min(24, 3*len(all)) { // two or three members that may contradict each other
				tree := right
				for range 2 + random.Intn(2) {
					p := all[random.Intn(len(all))]
					values := hostile(p.shape)
					tree = with(tree, p, op.Input, values[random.Intn(len(values))])
				}
				d.try(op, tree)
				sent++
			}
		}
	}
	t.Logf("%d requests", sent)
	if strings.Contains(d.log.String(), secret) {
		t.Error("a secret is in the log")
	}
}

// Who may do nothing reaches nothing: whatever is asked, the answer is that it is not allowed.
func TestNothingIsReachedWithoutPermission(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.gateway = gateway.New(gateway.Options{Faces: d.faces, Log: slog.New(slog.DiscardHandler), Lookup: func(id string) (iam.Principal, iam.Secret, bool) {
		p, secret, ok := d.lookup(id)
		p.ARN = "arn:aws:iam::" + p.Account + ":user/nobody"
		return p, secret, ok
	}})
	before := d.version()
	for _, api := range []struct {
		service *wire.Service
		routes  []string
	}{{ecapi.Service, elasticache.New(nil).Routes()}, {mdbapi.Service, memorydb.New(nil).Routes()}} {
		for _, name := range api.routes {
			op := api.service.Operation(name)
			right := wholeRequest(op)
			if _, text := d.call(op, right); !strings.Contains(text, "AccessDenied") {
				t.Errorf("%s answers a stranger: %.300s", name, text)
			}
			for _, p := range places(op.Input, nil) { // no names, or empty ones, are no way in
				if len(p.path) == 1 {
					for _, v := range []any{nil, "", list(), list("")} {
						if status, text := d.call(op, with(right, p, op.Input, v)); status == http.StatusOK {
							t.Errorf("%s answers a stranger without %s: %.300s", name, p.path[0], text)
						}
					}
				}
			}
		}
	}
	if d.version() != before {
		t.Error("a stranger changed something")
	}
}

// try sends a request and holds the answer to what is said above.
func (d *door) try(op *wire.Operation, tree map[string]any) {
	d.t.Helper()
	before := d.version()
	status, text := d.call(op, tree)
	fail := func(format string, args ...any) {
		d.t.Helper()
		request, _ := json.Marshal(tree)
		d.t.Errorf("%s: "+format+"\n  request %.600s\n  answer %d %.400s", append(append([]any{op.Name}, args...), request, status, text)...)
	}
	if strings.Contains(text, secret) {
		fail("the answer shows a secret")
	}
	changed := d.version() != before
	if status == http.StatusOK {
		if changed {
			d.noSecret(fail)
			for _, look := range looks[op.API.Name] { // what it made can be shown
				if seen, answer := d.call(operation(op.API.Name, look), map[string]any{"ShowCacheNodeInfo": true, "ShowNodeGroupConfig": true, "ShowShardDetails": true, "ShowDetail": true}); seen != http.StatusOK || strings.Contains(answer, secret) {
					fail("%s answers %d %.300s", look, seen, answer)
				}
			}
			d.restore()
		}
		return
	}
	if changed {
		fail("a refused request changed something")
		d.restore()
	}
	code := between(text, "<Code>", "</Code>")
	if op.API.Protocol == wire.JSON {
		code = between(text, `"__type":"`, `"`)
	}
	declared := slices.ContainsFunc(op.Faults, func(f *wire.Fault) bool { return f.Code == code })
	if status >= 500 || !declared && !slices.Contains(commonCodes, code) {
		fail("%s is not declared", code)
	}
}

// looks are operations that show what others made.
var looks = map[string][]string{"elasticache": {"DescribeReplicationGroups", "DescribeCacheClusters", "DescribeSnapshots", "DescribeUsers"},
	"memorydb": {"DescribeClusters", "DescribeSnapshots", "DescribeUsers"}}

// commonCodes are refusals that every operation may give, in its model or not.
var commonCodes = []string{"InvalidParameterValue", "InvalidParameterValueException", "SerializationException", "AccessDenied", "AccessDeniedException"}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// noSecret looks for secrets in all that the metastore has.
func (d *door) noSecret(fail func(string, ...any)) {
	d.t.Helper()
	for _, table := range []string{"caches", "nodes", "nouns", "events", "jobs", "settings", "snapshots"} {
		column := map[string]string{"events": "message", "jobs": "args", "settings": "value"}[table]
		if column == "" {
			column = "document"
		}
		var n int
		d.must(d.side.QueryRowContext(context.Background(), "SELECT count(*) FROM main."+table+" WHERE instr("+column+", '"+secret+"') > 0").Scan(&n))
		if n > 0 {
			fail("a secret is in the table %s", table)
		}
	}
}

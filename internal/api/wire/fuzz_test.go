package wire_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"reflect"
	"testing"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

// typed fails on an error that no face could map.
func typed(t *testing.T, err error) {
	var invalid *wire.ValidationError
	var malformed *wire.MalformedError
	if err != nil && !errors.As(err, &invalid) && !errors.As(err, &malformed) {
		t.Fatalf("%T: %v", err, err)
	}
}

// What is decoded can be encoded and decodes to the same.
func FuzzDecodeQuery(f *testing.F) {
	for _, seed := range []string{
		"Action=CreateReplicationGroup&Version=2015-02-02&ReplicationGroupId=a&ReplicationGroupDescription=d&NumNodeGroups=3",
		"NodeGroupConfiguration.NodeGroupConfiguration.2.Slots=0-1&NodeGroupConfiguration.NodeGroupConfiguration.2.ReplicaAvailabilityZones.AvailabilityZone.1=x",
		"Tags=&Tags.Tag.1.Key=a&Tags.member.1.Key=b", "NodeGroupConfiguration.1=&X=1&X=2", "Port=x&KmsKeyId=", "Tags.Tag.999999999999.Key=a",
		"LogDeliveryConfigurations.member.1.DestinationDetails.CloudWatchLogsDetails.LogGroup=%ff%00",
	} {
		f.Add(seed)
	}
	op := ecapi.OpCreateReplicationGroup.Operation
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		in := op.NewInput()
		_, err = wire.DecodeQuery(values, in)
		typed(t, err)
		typed(t, wire.Validate(in))
		if err != nil {
			return
		}
		again, err := wire.EncodeQuery(op, in)
		if err != nil {
			t.Fatal(err)
		}
		back := op.NewInput()
		if unknown, err := wire.DecodeQuery(again, back); err != nil || unknown.Count > 0 || !reflect.DeepEqual(in, back) {
			t.Fatalf("error %v, unknown %v, got %+v, want %+v", err, unknown, back, in)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{"ClusterName":"a","NodeType":"db.t4g.small","ACLName":"open-access","NumShards":2,"Tags":[{"Key":"k","Value":null}],"TLSEnabled":true}`,
		`{"Tags":[{"Key":1}]}`, `{"SnapshotArns":["a",{}]}`, `{"A":[[{"b":{}}]]}`, `{"ClusterName":"\ud800","ClusterName":""}`, `{}x`, `{"Port":1e400}`, ``,
	} {
		f.Add([]byte(seed))
	}
	op := mdbapi.OpCreateCluster.Operation
	f.Fuzz(func(t *testing.T, body []byte) {
		in := op.NewInput()
		_, err := wire.DecodeJSON(body, in)
		typed(t, err)
		typed(t, wire.Validate(in))
		if err != nil {
			return
		}
		again, err := wire.EncodeJSON(in)
		if err != nil {
			t.Fatal(err)
		}
		back := op.NewInput()
		if unknown, err := wire.DecodeJSON(again, back); err != nil || unknown.Count > 0 || !reflect.DeepEqual(in, back) {
			t.Fatalf("error %v, unknown %v, got %+v, want %+v", err, unknown, back, in)
		}
	})
}

func FuzzDecodeXML(f *testing.F) {
	for _, seed := range []string{
		`<DescribeSnapshotsResponse xmlns="x"><DescribeSnapshotsResult><Marker>m</Marker><Snapshots><Snapshot><SnapshotName>a&amp;b</SnapshotName><Port>6379</Port>` +
			`<NodeSnapshots><NodeSnapshot><SnapshotCreateTime>2026-11-21T10:00:00.000Z</SnapshotCreateTime></NodeSnapshot></NodeSnapshots></Snapshot></Snapshots>` +
			`</DescribeSnapshotsResult><ResponseMetadata><RequestId>i</RequestId></ResponseMetadata></DescribeSnapshotsResponse>`,
		`<a><DescribeSnapshotsResult><Snapshots><Snapshot/><x><y/></x></Snapshots></DescribeSnapshotsResult></a>`,
		`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, `<a`, ``,
	} {
		f.Add([]byte(seed))
	}
	op := ecapi.OpDescribeSnapshots.Operation
	f.Fuzz(func(t *testing.T, body []byte) {
		out := &ecapi.DescribeSnapshotsOutput{}
		id, err := wire.DecodeXML(body, op.Wrapper, out)
		typed(t, err)
		if _, err := wire.DecodeFault(body); err != nil {
			typed(t, err)
		}
		if err != nil {
			return
		}
		doc, err := wire.EncodeXML(op, id, out)
		if err != nil {
			t.Fatal(err)
		}
		back := &ecapi.DescribeSnapshotsOutput{}
		if gotID, err := wire.DecodeXML(doc, op.Wrapper, back); err != nil || gotID != id {
			t.Fatalf("id %q, want %q, error %v\n%s", gotID, id, err, doc)
		}
	})
}

// Whatever a string holds, the answer is a document.
func FuzzEncodeXML(f *testing.F) {
	f.Add("a<b", "id\x00")
	f.Fuzz(func(t *testing.T, name, id string) {
		doc, err := wire.EncodeXML(ecapi.OpDescribeSnapshots.Operation, id, &ecapi.DescribeSnapshotsOutput{Marker: &name})
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
			if _, err := d.Token(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatalf("%v in %q", err, doc)
			}
		}
	})
}

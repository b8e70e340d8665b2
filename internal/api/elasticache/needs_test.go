package elasticache

import (
	"testing"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/resource"
)

// However a client writes a name: policy is asked about the resource that the control plane finds by it.
func TestPolicyIsAskedAboutWhatIsFound(t *testing.T) {
	t.Parallel()
	c := &gateway.Call{Scope: resource.Scope{Account: "123456789012", Region: "us-east-1"}}
	const head = "arn:aws:elasticache:us-east-1:123456789012:serverlesscache"
	for _, name := range []string{"orders", "Orders", " orders\t"} {
		arn := head + "snapshot:" + name
		for got, want := range map[string]string{
			cacheARN(c, &name): head + ":orders", snapshotARN(c, &name): head + "snapshot:orders", anyARN(&arn): head + "snapshot:orders",
		} {
			if got != want {
				t.Errorf("%q: policy is asked about %s, not %s", name, got, want)
			}
		}
	}
	if got := anyARN(nil); got != "*" {
		t.Error(got)
	}
}

package gateway

import (
	"testing"

	"github.com/keyframe/keyframe/internal/auth/iam"
)

// An export does more to a bucket than the API's own action says, and its caller needs permission for that as well.
func TestExportNeedsTheBucket(t *testing.T) {
	t.Parallel()
	const insufficient = "The authenticated user does not have sufficient permissions to perform the desired activity."
	nobody := iam.Principal{Account: root.Account, ARN: "arn:aws:iam::111111111111:user/nobody"}
	for _, c := range []struct {
		service string
		who     iam.Principal
		want    string
	}{
		{"elasticache", root, ""}, {"memorydb", root, ""}, {"memorydb", nobody, insufficient},
		{"elasticache", nobody, "Elasticache was unable to validate the authenticated user has access on the S3 bucket."},
	} {
		err := (&Call{Service: c.service, Principal: c.who}).MayExport("exports", "backup-0001.rdb")
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s, %s: %v, want %q", c.service, c.who.ARN, err, c.want)
		}
	}
}

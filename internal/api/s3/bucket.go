package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// stamp is a time as S3 writes it in XML.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type owner struct {
	ID          string
	DisplayName string
}

// ownerOf gives an account an ID of the form that S3's canonical users have.
func ownerOf(account string) owner {
	sum := sha256.Sum256([]byte(account))
	return owner{hex.EncodeToString(sum[:]), account}
}

type bucketEntry struct {
	Name         string
	CreationDate string
	BucketRegion string
}

type listBucketsResult struct {
	XMLName           xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner             owner
	Buckets           []bucketEntry `xml:"Buckets>Bucket"`
	ContinuationToken string        `xml:",omitempty"`
	Prefix            string        `xml:",omitempty"`
}

func (c *call) listBuckets() error {
	limit, err := c.intParam("max-buckets", 10000, 10000)
	if err != nil {
		return err
	}
	after, err := c.continuation()
	if err != nil {
		return err
	}
	out := listBucketsResult{Owner: ownerOf(c.caller.Account), Prefix: c.param("prefix")}
	for _, b := range c.h.Buckets.Buckets(c.r.Context(), c.caller.Account) {
		if b.Name <= after || !strings.HasPrefix(b.Name, out.Prefix) || c.has("bucket-region") && b.Region != c.param("bucket-region") {
			continue
		}
		if n := len(out.Buckets); n == limit && n > 0 {
			out.ContinuationToken = tokenOf(out.Buckets[n-1].Name)
			break
		}
		out.Buckets = append(out.Buckets, bucketEntry{b.Name, stamp(b.CreatedAt), b.Region})
	}
	return c.xml(http.StatusOK, out)
}

type createBucketConfiguration struct {
	LocationConstraint string
	Location           *struct{}
	Bucket             *struct{}
	Tags               *struct{}
}

// locate chooses a new bucket's region by S3's rules: us-east-1 can make buckets anywhere, other regions only at home and by name.
func locate(constraint, region string) (string, error) {
	switch {
	case constraint == "us-east-1":
		return "", &Fault{"InvalidLocationConstraint", 400, "The specified location-constraint is not valid"}
	case constraint == "" && region != "us-east-1" && region != "":
		return "", &Fault{"IllegalLocationConstraintException", 400, "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."}
	case constraint == "":
		return "us-east-1", nil
	case constraint == "EU":
		constraint = "eu-west-1"
	}
	if region != "us-east-1" && region != constraint {
		return "", &Fault{"IllegalLocationConstraintException", 400, "The " + constraint + " location constraint is incompatible for the region specific endpoint this request was sent to."}
	}
	if len(constraint) > 64 || strings.Trim(constraint, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Count(constraint, "-") < 2 {
		return "", &Fault{"InvalidLocationConstraint", 400, "The specified location-constraint is not valid"}
	}
	return constraint, nil
}

func (c *call) createBucket() error {
	var in createBucketConfiguration
	if _, err := c.readXML(&in, 64<<10); err != nil {
		return err
	}
	if in.Location != nil || in.Bucket != nil || in.Tags != nil {
		return notImplemented
	}
	region, err := locate(in.LocationConstraint, c.caller.Region)
	if err != nil {
		return err
	}
	b, err := c.h.Buckets.CreateBucket(c.r.Context(), c.bucket, c.caller.Account, region)
	// As on AWS, us-east-1 forgives making one's bucket again.
	if errors.Is(err, buckets.ErrBucketOwnedByYou) && b.Region == "us-east-1" && region == "us-east-1" {
		err = nil
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	c.w.Header().Set("X-Amz-Bucket-Arn", "arn:aws:s3:::"+c.bucket)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) headBucket() error {
	c.w.Header().Set("X-Amz-Bucket-Region", c.b.Region)
	c.w.Header().Set("X-Amz-Bucket-Arn", "arn:aws:s3:::"+c.bucket)
	c.w.Header().Set("X-Amz-Access-Point-Alias", "false")
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) deleteBucket() error {
	if err := c.h.Buckets.DeleteBucket(c.r.Context(), c.bucket); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

type locationResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Region  string   `xml:",chardata"`
}

func (c *call) getLocation() error {
	region := c.b.Region
	if region == "us-east-1" { // whose name is empty here
		region = ""
	}
	return c.xml(http.StatusOK, locationResult{Region: region})
}

type versioningResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ VersioningConfiguration"`
}

// getVersioning says that versioning was never turned on, which is all that can be said of these buckets.
func (c *call) getVersioning() error { return c.xml(http.StatusOK, versioningResult{}) }

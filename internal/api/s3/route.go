package s3

import (
	"net/http"
	"strings"
)

// operation is one operation of S3.
type operation struct {
	action   string // that a policy must allow
	inBucket bool   // works in a bucket that exists and is the caller's
	do       func(*call) error
}

// foreignParams are the sub-resources and parameters of S3 that this face does not serve. A request that names one is refused.
var foreignParams = strings.Fields(`abac accelerate acl analytics attributes cors encryption intelligent-tiering inventory legal-hold lifecycle
	logging metadataConfiguration metadataInventoryTable metadataJournalTable metadataTable metrics notification object-lock
	ownershipControls policy policyStatus publicAccessBlock renameObject replication requestPayment restore retention select session
	tagging torrent versions website`)

// foreignHeaders ask for something that this face does not do.
var foreignHeaders = []string{
	"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm",
	"X-Amz-Tagging", "X-Amz-Website-Redirect-Location", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date",
	"X-Amz-Object-Lock-Legal-Hold", "X-Amz-Grant-Read", "X-Amz-Grant-Write", "X-Amz-Grant-Full-Control", "X-Amz-Grant-Read-Acp",
	"X-Amz-Grant-Write-Acp", "X-Amz-Write-Offset-Bytes",
}

// headerValues are headers that this face can agree to with some values only.
var headerValues = map[string]string{
	"X-Amz-Acl":                        "private bucket-owner-full-control bucket-owner-read",
	"X-Amz-Storage-Class":              "STANDARD",
	"X-Amz-Bucket-Object-Lock-Enabled": "false",
}

func (c *call) refused() error {
	for _, p := range foreignParams {
		if c.has(p) {
			return notImplemented
		}
	}
	if c.has("versionId") && c.param("versionId") != "null" {
		return notImplemented
	}
	for _, h := range foreignHeaders {
		if c.r.Header.Get(h) != "" {
			return notImplemented
		}
	}
	for h, allowed := range headerValues {
		if v := c.r.Header.Get(h); v != "" && !contains(strings.Fields(allowed), v) {
			return notImplemented
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func (c *call) route() (operation, error) {
	if err := c.refused(); err != nil {
		return operation{}, err
	}
	var op operation
	var ok bool
	switch {
	case c.bucket == "" && c.key != "":
		return operation{}, notImplemented
	case c.bucket == "":
		op, ok = operation{"s3:ListAllMyBuckets", false, (*call).listBuckets}, c.r.Method == http.MethodGet
	case c.key == "":
		op, ok = c.bucketOperation()
	default:
		op, ok = c.objectOperation()
	}
	if !ok {
		return operation{}, methodNotAllowed
	}
	return op, nil
}

func (c *call) bucketOperation() (operation, bool) {
	switch c.r.Method {
	case http.MethodPut:
		return operation{"s3:CreateBucket", false, (*call).createBucket}, !c.has("versioning")
	case http.MethodHead:
		return operation{"s3:ListBucket", true, (*call).headBucket}, true
	case http.MethodDelete:
		return operation{"s3:DeleteBucket", true, (*call).deleteBucket}, true
	case http.MethodPost:
		// Each key is asked for by itself.
		return operation{"s3:ListBucket", true, (*call).deleteObjects}, c.has("delete")
	case http.MethodGet:
		switch {
		case c.has("location"):
			return operation{"s3:GetBucketLocation", true, (*call).getLocation}, true
		case c.has("versioning"):
			return operation{"s3:GetBucketVersioning", true, (*call).getVersioning}, true
		case c.has("uploads"):
			return operation{"s3:ListBucketMultipartUploads", true, (*call).listUploads}, true
		case c.param("list-type") == "2":
			return operation{"s3:ListBucket", true, (*call).listV2}, true
		}
		return operation{"s3:ListBucket", true, (*call).listV1}, true
	}
	return operation{}, false
}

func (c *call) objectOperation() (operation, bool) {
	part, copies := c.has("uploadId"), c.r.Header.Get("X-Amz-Copy-Source") != ""
	switch c.r.Method {
	case http.MethodPut:
		switch {
		case part && copies:
			return operation{"s3:PutObject", true, (*call).copyPart}, true
		case part:
			return operation{"s3:PutObject", true, (*call).putPart}, true
		case copies:
			return operation{"s3:PutObject", true, (*call).copyObject}, true
		}
		return operation{"s3:PutObject", true, (*call).putObject}, true
	case http.MethodGet:
		if part {
			return operation{"s3:ListMultipartUploadParts", true, (*call).listParts}, true
		}
		return operation{"s3:GetObject", true, (*call).getObject}, true
	case http.MethodHead:
		return operation{"s3:GetObject", true, (*call).getObject}, true
	case http.MethodDelete:
		if part {
			return operation{"s3:AbortMultipartUpload", true, (*call).abortUpload}, true
		}
		return operation{"s3:DeleteObject", true, (*call).deleteObject}, true
	case http.MethodPost:
		if part {
			return operation{"s3:PutObject", true, (*call).completeUpload}, true
		}
		return operation{"s3:PutObject", true, (*call).createUpload}, c.has("uploads")
	}
	return operation{}, false
}

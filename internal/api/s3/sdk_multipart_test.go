package s3_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const minPart = 5 << 20

func TestMultipartThroughTheSDK(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	ctx := t.Context()
	key := aws.String("big one")
	first, last := randomBytes(minPart), randomBytes(1000)
	for _, kind := range []struct {
		a types.ChecksumAlgorithm
		t types.ChecksumType
	}{{"CRC32", "COMPOSITE"}, {"CRC32", "FULL_OBJECT"}, {"CRC64NVME", "FULL_OBJECT"}, {"SHA256", "COMPOSITE"}} {
		up := must(c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: bkt, Key: key, ChecksumAlgorithm: kind.a, ChecksumType: kind.t, ContentType: aws.String("x/y")}))(t)
		var parts []types.CompletedPart
		for i, data := range [][]byte{first, last} {
			p := must(c.UploadPart(ctx, &awss3.UploadPartInput{
				Bucket: bkt, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(data), ChecksumAlgorithm: kind.a,
			}))(t)
			parts = append(parts, types.CompletedPart{
				PartNumber: aws.Int32(int32(i + 1)), ETag: p.ETag, ChecksumCRC32: p.ChecksumCRC32, ChecksumCRC64NVME: p.ChecksumCRC64NVME, ChecksumSHA256: p.ChecksumSHA256,
			})
		}
		list := must(c.ListParts(ctx, &awss3.ListPartsInput{Bucket: bkt, Key: key, UploadId: up.UploadId, MaxParts: aws.Int32(1)}))(t)
		if len(list.Parts) != 1 || !*list.IsTruncated || *list.NextPartNumberMarker != "1" || list.ChecksumAlgorithm != kind.a || *list.Parts[0].Size != minPart {
			t.Errorf("parts: %+v", list)
		}
		done := must(c.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
			Bucket: bkt, Key: key, UploadId: up.UploadId, ChecksumType: kind.t, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}))(t)
		if !strings.HasSuffix(*done.ETag, `-2"`) || done.ChecksumType != kind.t {
			t.Errorf("done: %+v", done)
		}
		get := must(c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: key, ChecksumMode: types.ChecksumModeEnabled}))(t)
		if readAll(t, get.Body) != string(first)+string(last) || *get.ContentType != "x/y" || get.ChecksumType != kind.t {
			t.Errorf("%v: the object is another: %+v", kind, get)
		}
	}
	part := must(c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: key, PartNumber: aws.Int32(2)}))(t)
	if readAll(t, part.Body) != string(last) || *part.PartsCount != 2 {
		t.Errorf("part 2: %+v", part)
	}
	_, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: key, PartNumber: aws.Int32(3)})
	wantCode(t, err, "InvalidPartNumber", 416)
}

func TestUploadsThatEndOtherwise(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	ctx := t.Context()
	putString(t, c, "bkt", "source", string(randomBytes(100)))
	var ids []string
	for i := range 3 {
		up := must(c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: bkt, Key: aws.String(fmt.Sprintf("d/%d", i))}))(t)
		ids = append(ids, *up.UploadId)
	}
	var seen []string
	pages := awss3.NewListMultipartUploadsPaginator(c, &awss3.ListMultipartUploadsInput{Bucket: bkt, MaxUploads: aws.Int32(2)})
	for pages.HasMorePages() {
		for _, u := range must(pages.NextPage(ctx))(t).Uploads {
			seen = append(seen, *u.UploadId)
		}
	}
	if strings.Join(seen, " ") != strings.Join(ids, " ") {
		t.Errorf("listed %v, want %v", seen, ids)
	}
	rolled := must(c.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: bkt, Delimiter: aws.String("/")}))(t)
	if len(rolled.CommonPrefixes) != 1 || len(rolled.Uploads) != 0 {
		t.Errorf("%+v", rolled)
	}
	key := aws.String("d/0")
	p := must(c.UploadPartCopy(ctx, &awss3.UploadPartCopyInput{Bucket: bkt, Key: key, UploadId: &ids[0], PartNumber: aws.Int32(1), CopySource: aws.String("bkt/source"), CopySourceRange: aws.String("bytes=10-19")}))(t)
	complete := func(parts ...types.CompletedPart) error {
		_, err := c.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{Bucket: bkt, Key: key, UploadId: &ids[0], MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		return err
	}
	one, two := types.CompletedPart{PartNumber: aws.Int32(1), ETag: p.CopyPartResult.ETag}, types.CompletedPart{PartNumber: aws.Int32(2), ETag: p.CopyPartResult.ETag}
	wantCode(t, complete(one, two), "InvalidPart", 400)
	wantCode(t, complete(two, one), "InvalidPartOrder", 400)
	wantCode(t, complete(), "MalformedXML", 400)
	must(c.UploadPart(ctx, &awss3.UploadPartInput{Bucket: bkt, Key: key, UploadId: &ids[0], PartNumber: aws.Int32(2), Body: bytes.NewReader(randomBytes(100)[10:20])}))(t)
	wantCode(t, complete(one, two), "EntityTooSmall", 400)
	if err := complete(one); err != nil {
		t.Error(err)
	}
	if err := complete(one); err != nil { // as a client does whose answer was lost
		t.Error(err)
	}
	get := must(c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: key}))(t)
	if readAll(t, get.Body) != string(randomBytes(100)[10:20]) {
		t.Error("the range that was copied is another")
	}
	must(c.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: bkt, Key: aws.String("d/1"), UploadId: &ids[1]}))(t)
	_, err := c.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: bkt, Key: aws.String("d/1"), UploadId: &ids[1]})
	wantCode(t, err, "NoSuchUpload", 404)
	_, err = c.UploadPart(ctx, &awss3.UploadPartInput{Bucket: bkt, Key: key, UploadId: &ids[2], PartNumber: aws.Int32(1), Body: strings.NewReader("another key")})
	wantCode(t, err, "NoSuchUpload", 404)
}

func TestTransferManager(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	data := randomBytes(20 << 20)
	tm := transfermanager.New(c)
	must(tm.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: bkt, Key: aws.String("k"), Body: bytes.NewReader(data)}))(t)
	got := must(tm.GetObject(t.Context(), &transfermanager.GetObjectInput{Bucket: bkt, Key: aws.String("k")}))(t)
	var b bytes.Buffer
	if _, err := b.ReadFrom(got.Body); err != nil || !bytes.Equal(b.Bytes(), data) {
		t.Errorf("%d bytes came back of %d, %v", b.Len(), len(data), err)
	}
}

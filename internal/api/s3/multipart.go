package s3

import (
	"encoding/xml"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/checksum"
)

type createUploadResult struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadID string `xml:"UploadId"`
}

func (c *call) createUpload() error {
	attr, err := c.attributes()
	if err != nil {
		return err
	}
	var algorithm checksum.Algorithm
	typ := checksum.Type(strings.ToUpper(c.r.Header.Get("X-Amz-Checksum-Type")))
	if v := c.r.Header.Get("X-Amz-Checksum-Algorithm"); v != "" {
		var ok bool
		if algorithm, ok = checksum.Parse(v); !ok {
			return invalidRequest("Checksum algorithm provided is unsupported.")
		}
	}
	u, err := c.h.Buckets.CreateUpload(c.r.Context(), c.bucket, c.key, algorithm, typ, attr)
	if err != nil {
		return err
	}
	if u.Algorithm != "" {
		c.w.Header().Set("X-Amz-Checksum-Algorithm", string(u.Algorithm))
		c.w.Header().Set("X-Amz-Checksum-Type", string(u.Type))
	}
	return c.xml(http.StatusOK, createUploadResult{Bucket: c.bucket, Key: c.key, UploadID: u.ID})
}

func (c *call) partNumber() (int, error) {
	n, err := strconv.Atoi(c.param("partNumber"))
	if err != nil {
		return 0, buckets.ErrPartNumber
	}
	return n, nil
}

func (c *call) putPart() error {
	number, err := c.partNumber()
	if err != nil {
		return err
	}
	expect, err := c.expected()
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	p, err := c.h.Buckets.PutPart(c.r.Context(), c.bucket, c.key, c.param("uploadId"), number, body, buckets.PutOptions{
		Algorithm: expect.algorithm, Accept: expect.accept(c),
	})
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Etag", quote(p.ETag))
	if p.Checksum.Algorithm != "" {
		h.Set(p.Checksum.Algorithm.Header(), p.Checksum.Value)
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) abortUpload() error {
	if err := c.h.Buckets.AbortUpload(c.r.Context(), c.bucket, c.key, c.param("uploadId")); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

type partEntry struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	checksums
}

type listPartsResult struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Part                 []partEntry
	Initiator            owner
	Owner                owner
	StorageClass         string
	ChecksumAlgorithm    string `xml:",omitempty"`
	ChecksumType         string `xml:",omitempty"`
}

func (c *call) listParts() error {
	limit, err := c.intParam("max-parts", 1000, 1000)
	if err != nil {
		return err
	}
	after, err := c.intParam("part-number-marker", 0, buckets.MaxParts)
	if err != nil {
		return err
	}
	_, enc, err := c.encoder()
	if err != nil {
		return err
	}
	id := c.param("uploadId")
	u, err := c.h.Buckets.Upload(c.r.Context(), c.bucket, c.key, id)
	if err != nil {
		return err
	}
	parts, more, err := c.h.Buckets.Parts(c.r.Context(), c.bucket, c.key, id, after, limit)
	if err != nil {
		return err
	}
	who := ownerOf(c.b.Owner)
	out := listPartsResult{
		Bucket: c.bucket, Key: enc(c.key), UploadID: id, PartNumberMarker: after, MaxParts: limit, IsTruncated: more,
		Initiator: who, Owner: who, StorageClass: "STANDARD", ChecksumAlgorithm: string(u.Algorithm), ChecksumType: string(u.Type),
	}
	for _, p := range parts {
		out.Part = append(out.Part, partEntry{p.Number, stamp(p.ModifiedAt), quote(p.ETag), p.Size, checksumsOf(p.Checksum)})
		out.NextPartNumberMarker = p.Number
	}
	return c.xml(http.StatusOK, out)
}

type uploadEntry struct {
	Key               string
	UploadID          string `xml:"UploadId"`
	Initiator         owner
	Owner             owner
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

type listUploadsResult struct {
	XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	Delimiter          string `xml:",omitempty"`
	Prefix             string
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Upload             []uploadEntry
	CommonPrefixes     []prefixEntry
}

func (c *call) listUploads() error {
	limit, err := c.intParam("max-uploads", 1000, 1000)
	if err != nil {
		return err
	}
	typ, enc, err := c.encoder()
	if err != nil {
		return err
	}
	prefix, delimiter, keyMarker, idMarker := c.param("prefix"), c.param("delimiter"), c.param("key-marker"), c.param("upload-id-marker")
	list, err := c.h.Buckets.Uploads(c.r.Context(), c.bucket, prefix)
	if err != nil {
		return err
	}
	who := ownerOf(c.b.Owner)
	out := listUploadsResult{
		Bucket: c.bucket, KeyMarker: enc(keyMarker), UploadIDMarker: idMarker, Delimiter: enc(delimiter), Prefix: enc(prefix),
		EncodingType: typ, MaxUploads: limit,
	}
	start := sort.Search(len(list), func(i int) bool {
		return list[i].Key > keyMarker || idMarker != "" && list[i].Key == keyMarker && list[i].ID > idMarker
	})
	common, count := "", 0
	for _, u := range list[start:] {
		name, id := u.Key, u.ID
		if i := strings.Index(u.Key[len(prefix):], delimiter); delimiter != "" && i >= 0 {
			name, id = u.Key[:len(prefix)+i+len(delimiter)], ""
			if name == common || name == keyMarker {
				continue
			}
		}
		if count == limit {
			out.IsTruncated = limit > 0
			break
		}
		count++
		out.NextKeyMarker, out.NextUploadIDMarker = enc(name), id
		if id == "" {
			common = name
			out.CommonPrefixes = append(out.CommonPrefixes, prefixEntry{enc(name)})
			continue
		}
		out.Upload = append(out.Upload, uploadEntry{
			enc(name), id, who, who, "STANDARD", stamp(u.InitiatedAt), string(u.Algorithm), string(u.Type),
		})
	}
	if !out.IsTruncated {
		out.NextKeyMarker, out.NextUploadIDMarker = "", ""
	}
	return c.xml(http.StatusOK, out)
}

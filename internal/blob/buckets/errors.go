package buckets

import "errors"

// What can be wrong with a request. Other errors are failures of the disk.
var (
	ErrNoSuchBucket      = errors.New("no such bucket")
	ErrBucketExists      = errors.New("a bucket of this name belongs to another account")
	ErrBucketOwnedByYou  = errors.New("you have a bucket of this name already")
	ErrBucketNotEmpty    = errors.New("the bucket holds objects")
	ErrInvalidBucketName = errors.New("not a valid bucket name")

	ErrNoSuchKey  = errors.New("no such object")
	ErrInvalidKey = errors.New("not a valid key: it must be UTF-8")
	ErrKeyLength  = errors.New("a key has 1 to 1024 bytes")
	ErrExists     = errors.New("the object exists already")
	ErrChanged    = errors.New("the object is not the one that the condition names")

	ErrNoSuchUpload  = errors.New("no such multipart upload")
	ErrPartNumber    = errors.New("a part number is 1 to 10000")
	ErrInvalidPart   = errors.New("a part is absent or not the one that is named")
	ErrPartOrder     = errors.New("parts must be named in ascending order")
	ErrPartTooSmall  = errors.New("every part but the last must have 5 MiB")
	ErrChecksumKind  = errors.New("the checksum is of another algorithm or type than the upload's")
	ErrObjectTooLong = errors.New("an object has at most 5 TiB")
)

package resource

import "strconv"

// SizeText is a size as the APIs of node-based snapshots show it, "3 MB": bytes rounded up to whole mebibytes, from ten gibibytes on to whole
// gibibytes. A snapshot is never shown as 0 MB: even an empty file has a header.
func SizeText(bytes int64) string {
	const mb, gb = 1 << 20, 1 << 30
	if bytes >= 10*gb {
		return strconv.FormatInt((bytes+gb-1)/gb, 10) + " GB"
	}
	return strconv.FormatInt(max(1, (bytes+mb-1)/mb), 10) + " MB"
}

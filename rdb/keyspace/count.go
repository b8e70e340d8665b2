package keyspace

// Count is a number of keys and the bytes of their records.
type Count struct {
	Keys  int64 `json:"keys"`
	Bytes int64 `json:"bytes"`
}

func (c *Count) one(bytes int64) {
	c.Keys++
	c.Bytes += bytes
}

func (c *Count) add(d Count) {
	c.Keys += d.Keys
	c.Bytes += d.Bytes
}

func (c Count) plus(d Count) Count { return Count{c.Keys + d.Keys, c.Bytes + d.Bytes} }

// within tells that neither is above its limit.
func (c Count) within(limit Count) bool { return c.Keys <= limit.Keys && c.Bytes <= limit.Bytes }

func (c Count) max(d Count) Count { return Count{max(c.Keys, d.Keys), max(c.Bytes, d.Bytes)} }

package keyrestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/crc64"
)

// inMemory is what of one payload is held in memory; the rest goes to a temporary file without a name.
const inMemory = 1 << 20

// payload is what RESTORE takes for one value, as it is written: the protocol needs its length first.
type payload struct {
	dir  string
	mem  []byte
	file *os.File
	size int64
	crc  uint64
}

func (p *payload) Write(b []byte) (int, error) {
	p.size += int64(len(b))
	p.crc = crc64.Update(p.crc, b)
	n := min(len(b), inMemory-len(p.mem))
	p.mem = append(p.mem, b[:n]...)
	if n == len(b) {
		return n, nil
	}
	if p.file == nil {
		f, err := os.CreateTemp(p.dir, "keyframe-restore-*") // mode 0600
		if err != nil {
			return n, fmt.Errorf("temporary file: %w", err)
		}
		p.file = f
		if err := os.Remove(f.Name()); err != nil {
			return n, fmt.Errorf("temporary file: %w", err)
		}
	}
	m, err := p.file.Write(b[n:])
	return n + m, err
}

// seal ends the payload.
func (p *payload) seal(version int) error {
	if _, err := p.Write(binary.LittleEndian.AppendUint16(nil, uint16(version))); err != nil {
		return err
	}
	_, err := p.Write(binary.LittleEndian.AppendUint64(nil, p.crc))
	return err
}

// reader reads the first n bytes. It may be called again.
func (p *payload) reader(n int64) io.Reader {
	k := min(n, int64(len(p.mem)))
	if k == n {
		return bytes.NewReader(p.mem[:n])
	}
	return io.MultiReader(bytes.NewReader(p.mem), io.NewSectionReader(p.file, 0, n-k))
}

func (p *payload) close() {
	if p.file != nil {
		p.file.Close()
	}
}

// tail is what follows the value in a payload: version and checksum.
const tail = 2 + 8

// payloadOf makes the payload of a value that the engine takes: the value as it lies in the file where that is possible, and
// stored in an older way, or that of the other family, where it is not.
func payloadOf(e *Engine, dir string, v *rdb.Value, deep bool) (*payload, error) {
	typ, family := v.Type(), rdb.FamilyRedis
	version := rdb.TypeVersion(family, typ)
	if version == 0 {
		family = rdb.FamilyValkey
		version = rdb.TypeVersion(family, typ)
	}
	p := &payload{dir: dir}
	err := p.take(typ, version, func() error { _, err := v.Raw(p); return err })
	if err == nil && deep {
		if bad := p.verify(family, typ); bad != nil {
			err = &unfit{bad}
		}
	}
	if err != nil || e.reads(version) {
		if err != nil {
			p.close()
		}
		return p, err
	}
	defer p.close()
	if q, err := anew(p, dir, e.newest()); err == nil {
		return q, nil
	}
	q, err := rewritten(p, dir, family, typ, e.newest())
	if err != nil {
		return nil, &unfit{err}
	}
	return q, nil
}

func (p *payload) take(typ byte, version int, value func() error) error {
	if _, err := p.Write([]byte{typ}); err != nil {
		return err
	}
	if err := value(); err != nil {
		return err
	}
	return p.seal(version)
}

// verify looks inside the value, as engines do only if they are told to (sanitize-dump-payload): a broken one ends others.
func (p *payload) verify(family string, typ byte) error {
	if p.file == nil {
		return (&rdb.Dump{Type: typ, Family: family, Raw: p.mem[1 : p.size-tail]}).Verify()
	}
	_, err := rdb.NewScanner(p.asFile(family, typ), rdb.Options{Deep: true}).Scan()
	return err
}

// asFile is an RDB file with the value as its only one.
func (p *payload) asFile(family string, typ byte) io.Reader {
	header := "REDIS0012"
	if family == rdb.FamilyValkey {
		header = "VALKEY080"
	}
	value := p.reader(p.size - tail)
	io.ReadFull(value, make([]byte, 1)) //nolint:errcheck // the type, which was written first
	return io.MultiReader(bytes.NewReader(append([]byte(header), typ, 1, 'k')), value, bytes.NewReader([]byte{255, 0, 0, 0, 0, 0, 0, 0, 0}))
}

// unfit says that the engine has no form for a value. Only the key is concerned.
type unfit struct{ error }

func (u *unfit) Unwrap() error { return u.error }

// decodable is how much memory a value may take that is decoded whole.
const decodable = 64 << 20

// anew decodes a value that is all in memory and stores it in the form of a version. That takes a hundredth of the time of rewritten.
func anew(p *payload, dir string, version int) (*payload, error) {
	if p.file != nil {
		return nil, rdb.ErrTooLarge
	}
	d, err := rdb.ParseDump(p.mem)
	if err != nil {
		return nil, err
	}
	data, err := d.Decode(decodable)
	if err != nil {
		return nil, err
	}
	whole, err := rdb.EncodeDump(nil, data, rdb.WriterOptions{Version: version})
	if err != nil {
		return nil, err
	}
	q := &payload{dir: dir}
	if _, err := q.Write(whole); err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

// rewritten stores a value in the way of a version, whatever its size: as the only one of a file, which is rewritten and read again.
func rewritten(p *payload, dir, family string, typ byte, version int) (*payload, error) {
	file := p.asFile(family, typ)
	r, w := io.Pipe()
	go func() {
		var err error
		if version == onlyValkey {
			err = forValkey(file, w)
		} else {
			_, err = rdb.Lower(file, w, version)
		}
		w.CloseWithError(err) //nolint:errcheck // never fails
	}()
	defer r.Close()
	q := &payload{dir: dir}
	_, err := rdb.NewScanner(r, rdb.Options{OnValue: func(_ *rdb.Record, v *rdb.Value) error {
		return q.take(v.Type(), rdb.TypeVersion(v.Family(), v.Type()), func() error { _, err := v.Raw(q); return err })
	}}).Scan()
	if err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

// onlyValkey is the version from which on files have the magic of Valkey.
const onlyValkey = 80

// forValkey writes a file anew as one of Valkey.
func forValkey(r io.Reader, w io.Writer) error {
	all := rdb.Output{W: w}
	all.Slots.Add(0, rdb.Slots-1)
	splitter, err := rdb.NewSplitter(rdb.SplitOptions{Version: onlyValkey, Modules: true}, all)
	if err != nil {
		return err
	}
	if _, err := rdb.NewScanner(r, rdb.Options{Split: splitter}).Scan(); err != nil {
		return err
	}
	_, err = splitter.Close()
	return err
}

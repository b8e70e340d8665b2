package wire

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const maxListLength = 1000 // elements of one list; the largest that AWS documents is 500 shards

const reasonTooMany = "must not have more than 1000 elements"

// setText parses the text form of a scalar into v, which has the shape's type.
func setText(v reflect.Value, s *shape, text string, p *path) error {
	switch s.kind {
	case kindString:
		v.SetString(text)
	case kindBool:
		switch {
		case strings.EqualFold(text, "true"):
			v.SetBool(true)
		case strings.EqualFold(text, "false"):
			v.SetBool(false)
		default:
			return p.invalid("must be true or false")
		}
	case kindInt:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return p.invalid("must be an integer")
		}
		v.SetInt(n)
	case kindFloat:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return p.invalid("must be a number")
		}
		v.SetFloat(f)
	case kindTime:
		t, ok := parseTime(text)
		if !ok {
			return p.invalid("must be a timestamp in ISO 8601 format")
		}
		v.Set(reflect.ValueOf(t))
	}
	return nil
}

// appendText is the inverse of setText.
func appendText(b []byte, v reflect.Value, s *shape) []byte {
	switch s.kind {
	case kindString:
		return append(b, v.String()...)
	case kindBool:
		return strconv.AppendBool(b, v.Bool())
	case kindInt:
		return strconv.AppendInt(b, v.Int(), 10)
	case kindFloat:
		return strconv.AppendFloat(b, v.Float(), 'f', -1, 64)
	default:
		return appendTime(b, *v.Addr().Interface().(*time.Time))
	}
}

// Go accepts a fraction of a second wherever it parses one, with a point or a comma.
var timeLayouts = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05", "20060102T150405Z07:00", "2006-01-02"}

func parseTime(text string) (time.Time, bool) {
	if len(text) > 40 {
		return time.Time{}, false
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			return t, inRange(t)
		}
	}
	return time.Time{}, false
}

// appendTime writes UTC with milliseconds, as AWS does.
func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// inRange keeps to the years that ISO 8601 writes with four digits, so that everything read can be written.
func inRange(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

const (
	minEpoch = -62135596800 // 0001-01-01T00:00:00Z
	maxEpoch = 253402300799 // 9999-12-31T23:59:59Z
)

// parseEpoch reads seconds since 1970, a JSON number, to the microsecond. Decimals are read as they stand: a float64 has no
// microseconds to spare in far years.
func parseEpoch(text string) (time.Time, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < minEpoch || f > maxEpoch {
		return time.Time{}, false
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	micros, fracErr := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	if err != nil || fracErr != nil || strings.ContainsAny(fraction, "eE") {
		return time.UnixMicro(int64(math.Round(f * 1e6))).UTC(), true // written with an exponent
	}
	if strings.HasPrefix(whole, "-") {
		micros = -micros
	}
	return time.Unix(seconds, micros*1000).UTC(), true
}

// appendEpoch writes seconds with as many of three decimals as are needed.
func appendEpoch(b []byte, t time.Time) []byte {
	return strconv.AppendFloat(b, float64(t.UnixMilli())/1e3, 'f', -1, 64)
}

package cli

import (
	"strings"
	"testing"
)

func TestTablesObeyNobody(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := &session{out: &out, output: "table"}
	err := s.print(nil, func(t *table) {
		t.row("NAME", "TAG")
		t.row("orders", "\x1b[2Jred\u009b0m\tx\nbilling  good\u202e\x7f\xff")
		t.row("caf\u00e9", "\u65e5\u672c")
		t.line("  it broke:\nlog\x1b]0;x\a")
	})
	const want = "NAME    TAG\n" +
		`orders  \x1b[2Jred\u009b0m\tx\nbilling  good\u202e\x7f` + "\ufffd\n" +
		"caf\u00e9    \u65e5\u672c\n" +
		"  it broke:\n  log\\x1b]0;x\\a\n"
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
	}
}

// An error may quote what somebody else wrote.
func TestErrorsObeyNobody(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	if code := Main("test", []string{"no\x1b[2Jsuch"}, nil, &out, &errs); code != 2 || strings.Contains(errs.String()+out.String(), "\x1b") {
		t.Errorf("%d, %q, %q", code, out.String(), errs.String())
	}
}

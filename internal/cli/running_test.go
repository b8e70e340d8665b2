package cli

import "testing"

func TestProgressText(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		``: "", `not json`: "", `{}`: "", `{"Bytes":50,"Of":200}`: "25%", `{"Bytes":300,"Of":200}`: "100%", `{"Bytes":5000000,"Of":0}`: "5.0 MB",
		`{"Phase":"loading","Loaded":1,"Total":4}`: "loading 25%", `{"Phase":"joining"}`: "joining",
	} {
		if got := progressText([]byte(raw)); got != want {
			t.Errorf("%s reads %q, want %q", raw, got, want)
		}
	}
	if withProgress("creating", "25%") != "creating (25%)" || withProgress("available", "") != "available" {
		t.Error("a status does not read as it should")
	}
}

package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	holder := struct{ Password Secret }{"hush"}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("dial", "password", holder.Password, "holder", holder)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %q", holder, holder, holder, holder, holder), fmt.Sprint(holder.Password), string(text), log.String()} {
		if strings.Contains(s, "hush") || !strings.Contains(s, redacted) {
			t.Errorf("printed as %s", s)
		}
	}
}

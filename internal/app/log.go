package app

import (
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"

	"github.com/keyframe/keyframe/internal/config"
)

// NewLogger writes text on a terminal and JSON elsewhere, unless the configuration chooses.
func NewLogger(c config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(c.LogLevel)) //nolint:errcheck // checked with the configuration
	if c.LogFormat == "text" || c.LogFormat == "auto" && terminal(w) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "15:04:05.000", NoColor: !terminal(w)}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

package supervisor

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
)

// Discover looks for the engines' servers on PATH and asks each for its version. An engine that is absent is left out; a
// program that cannot tell its version is an error.
func Discover(ctx context.Context) (*engine.Catalog, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c := &engine.Catalog{}
	for _, e := range engine.Engines() {
		path, err := exec.LookPath(engine.Program(e))
		if err != nil {
			continue
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("%s --version: %w", path, err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		kind, v, err := engine.ParseBanner(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		// A distribution may let one engine's name start another: what counts is what the program says it is.
		c.Installed = append(c.Installed, engine.Installed{Engine: kind, Version: v, Path: path})
	}
	return c, nil
}

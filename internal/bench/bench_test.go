package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/cli"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
)

// asProgram makes the processes that the tests start the program itself.
const asProgram = "KEYFRAME_BENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main("test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := os.Setenv(asProgram, "1"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Every step works; how fast is not for a test to say.
func TestRunMeasuresAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out, log bytes.Buffer
	extra := func(ctx context.Context, s *Stage) ([]Row, error) {
		nothing := func(context.Context) error { return nil }
		row, err := s.Compare(ctx, Measure{Name: "an extra row", AnchorName: "nothing", Anchor: nothing, Ours: s.split, After: nothing})
		return []Row{row}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := Run(ctx, &out, Options{Engine: engine.Redis, Bytes: 3 << 20, Runs: 2, Dir: dir, Log: &log}, extra); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	for _, want := range []string{"redis-cli --rdb /dev/null", "redis-check-rdb", "cp and fsync", "an extra row", "at most 1.15"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestCutsMeasuresAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out, log bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := Cuts(ctx, &out, Options{Bytes: 3 << 20, Runs: 2, Dir: dir, Log: &log}); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	for _, want := range []string{"3 times valkey-cli --rdb /dev/null at once", "at most 1.15", "| no clients | ", "at most 5 ms", "clients that write"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestCodecMeasuresAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := Codec(ctx, &out, Options{Bytes: 3 << 20, Runs: 1, Dir: dir, Log: &log}, program); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	for _, want := range []string{"without LZF", "with LZF", "| deep verify", "at least 12 |", "| split in four by slot, fsync |", "| keyframe rdb split --into 4 |", "| CRC64, 16 tables |", "| LZF, unpacking |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables lack %q:\n%s", want, &out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Run(ctx, &bytes.Buffer{}, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	times := Times{5 * time.Second, time.Second, 2 * time.Second}
	if times.Median() != 2*time.Second || times[:2].Median() != time.Second {
		t.Errorf("medians %v and %v", times.Median(), times[:2].Median())
	}
	r := Row{OurTime: times, AnchorTime: Times{4 * time.Second}}
	if r.Ratio() != 0.5 {
		t.Errorf("ratio %v", r.Ratio())
	}
}

func TestMemcachedMeasuresAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out, log bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := Memcached(ctx, &out, Options{Bytes: 3 << 20, Runs: 2, Dir: dir, Log: &log}); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	for _, want := range []string{"bare loop of mg in batches of 512", "at most 2.00", "3700 items of 100 bytes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// The loop beside us ends when the server hangs up, also while it waits for answers before it asks on.
func TestTheBareLoopEndsWithItsServer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for in, asked := bufio.NewScanner(c), 0; asked < 4 && in.Scan(); { // as far ahead as the loop goes
			if in.Text() == "mn" {
				asked++
			}
		}
	}()
	s := &Stage{Keys: 100_000, Source: capture.Source{Address: ln.Addr().String()}}
	ended := make(chan error, 1)
	go func() { ended <- s.askForItems(t.Context()) }()
	if err := kftest.Receive(t, "the end", ended); err == nil {
		t.Error("it ended well, without any item")
	}
}

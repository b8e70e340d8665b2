// Package app wires the parts into a server. Tests boot the same one.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/keyframe/keyframe/internal/api/elasticache"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/memorydb"
	"github.com/keyframe/keyframe/internal/api/s3"
	"github.com/keyframe/keyframe/internal/api/sts"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/worker"
)

// App is a server.
type App struct {
	Config   config.Config
	Accounts *iam.Directory

	log      *slog.Logger
	stores   *Stores
	queue    *job.Queue
	engines  *supervisor.Supervisor
	worker   *worker.Worker
	control  *control.Control
	listener net.Listener
	http     *http.Server
	closers  []func()

	stopTicks context.CancelFunc
	ticks     sync.WaitGroup
}

// New opens everything under the data directory, takes over what a dead predecessor left, and listens. Run serves.
func New(ctx context.Context, c config.Config, log *slog.Logger) (a *App, err error) {
	a = &App{Config: c, log: log}
	opened := a // an error return clears a
	defer func() {
		if err != nil {
			opened.release()
		}
	}()
	if err := a.Config.MakeDataDir(); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	c = a.Config
	unlock, err := lock(c.Data)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, unlock)
	if a.Accounts, err = iam.Open(iam.Options{Path: filepath.Join(c.Data, "credentials"), Account: c.Account,
		AccessKeyID: c.AccessKeyID, SecretAccessKey: iam.NewSecret(string(c.SecretAccessKey))}); err != nil {
		return nil, err
	}
	if a.stores, err = OpenStores(ctx, c); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.stores.Close)
	if err := a.wire(ctx); err != nil {
		return nil, err
	}
	if a.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	// So much memory is a server's share beside the engines that it runs; above it the collector works harder.
	debug.SetMemoryLimit(512 << 20)
	return a, nil
}

// wire makes the parts know each other.
func (a *App) wire(ctx context.Context) error {
	c := a.Config
	box, err := buckets.Open(filepath.Join(c.Data, "buckets"))
	if err != nil {
		return fmt.Errorf("buckets: %w", err)
	}
	targets, err := exportTarget(ctx, c, box)
	if err != nil {
		return err
	}
	catalog, err := supervisor.Discover(ctx)
	if err != nil {
		return fmt.Errorf("look for engines: %w", err)
	}
	addresses, err := nodeAddresses(c)
	if err != nil {
		return err
	}
	if a.engines, err = supervisor.New(supervisor.Options{Dir: c.Data, Addresses: addresses, Log: a.log,
		OnDeath: func(d supervisor.Death) { a.worker.Died(d) }}); err != nil {
		return fmt.Errorf("engines: %w", err)
	}
	a.closers = append(a.closers, func() { a.engines.Close() })
	host, err := hostID(ctx, a.stores.DB)
	if err != nil {
		return err
	}
	a.queue = job.New(a.stores.DB, job.Options{Owner: host, Logger: a.log, Workers: c.Workers})
	spool := filepath.Join(c.Data, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return err
	}
	m := newMetrics(a.stores.DB)
	a.worker = worker.New(worker.Options{DB: a.stores.DB, Queue: a.queue, Store: a.stores.Snapshots, Keys: a.stores.Keys, Targets: targets,
		Engines: a.engines, Catalog: catalog, Host: host, Spool: spool, DefaultBytes: int64(c.DefaultDataGB) << 30, TLS: c.ServerlessTLS,
		Now: time.Now, Log: a.log, OnCut: m.cut})
	a.control = control.New(control.Options{DB: a.stores.DB, Queue: a.queue, Keys: a.stores.Keys, Targets: targets, Engines: catalog,
		Quota: control.Quota{ServerlessCaches: c.Quota.ServerlessCaches, ServerlessSnapshots: c.Quota.ServerlessSnapshots,
			NodeSnapshots: c.Quota.NodeSnapshots, SnapshotsKept: c.Quota.SnapshotsKept, TagsPerResource: c.Quota.TagsPerResource},
		Now: time.Now})
	a.http = &http.Server{
		Handler: gateway.New(gateway.Options{
			Faces:  []gateway.Face{elasticache.New(a.control), memorydb.New(a.control), sts.New(), gateway.NewS3(&s3.Handler{Buckets: box, Domains: []string{"localhost"}, Log: a.log})},
			Lookup: a.Accounts.Lookup, Metrics: m.handler(), Observe: m.observe, Log: a.log,
			Ready: func(ctx context.Context) error {
				return a.stores.DB.View(ctx, func(*metastore.Tx) error { return nil })
			},
		}),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	return nil
}

// URL is where clients find the server.
func (a *App) URL() string { return "http://" + a.listener.Addr().String() }

// Run serves until ctx ends, then drains: requests and jobs have the configured grace, what is not done by then is given
// back and continued by the next start. Engines go on running.
func (a *App) Run(ctx context.Context) error {
	defer a.release()
	if err := a.begin(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it served
		}
		return err
	}
	a.startTicks(ctx)
	served := make(chan error, 1)
	go func() { served <- a.http.Serve(a.listener) }()
	a.log.Info("serving", "url", a.URL(), "data", a.Config.Data, "credentials", a.Accounts.Path())
	select {
	case err := <-served:
		return errors.Join(err, a.drain())
	case <-ctx.Done():
		a.log.Info("stopping; engines go on running")
		return a.drain()
	}
}

// begin takes over what a dead predecessor left, jobs and engines, and lets jobs run.
func (a *App) begin(ctx context.Context) error {
	// The lock on the data directory says that nobody else works here: every lease is a dead process's.
	taken, err := a.queue.TakeOver(ctx)
	if err != nil {
		return fmt.Errorf("take over jobs: %w", err)
	}
	if taken > 0 {
		a.log.Info("resuming the jobs of a process that died", "jobs", taken)
	}
	if err := a.worker.Adopt(ctx); err != nil {
		return fmt.Errorf("adopt engines: %w", err)
	}
	return a.queue.Start(ctx)
}

func (a *App) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), a.Config.ShutdownGrace)
	defer cancel()
	a.stopTicks()
	a.ticks.Wait()
	jobs := make(chan error, 1)
	go func() { jobs <- a.queue.Stop(ctx) }() // beside the requests, of which a slow one may take all the time there is
	var errs []error
	if err := a.http.Shutdown(ctx); err != nil {
		a.http.Close()
		errs = append(errs, fmt.Errorf("requests: %w", err))
	}
	if err := <-jobs; err != nil {
		errs = append(errs, fmt.Errorf("jobs: %w", err))
	}
	return errors.Join(errs...)
}

// release closes what New opened, last first.
func (a *App) release() {
	if a.listener != nil {
		a.listener.Close()
	}
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

func nodeAddresses(c config.Config) (supervisor.Addresses, error) {
	if c.NodeAddress == "" {
		return supervisor.Addresses{}, nil
	}
	ip, err := netip.ParseAddr(c.NodeAddress)
	if err != nil {
		return supervisor.Addresses{}, err
	}
	from, to, err := c.NodePortRange()
	return supervisor.Addresses{NodeAddress: ip, NodePorts: supervisor.PortRange{First: from, Last: to}}, err
}

// hostID names this data directory's machine in the records of nodes and leases. It is made once.
func hostID(ctx context.Context, db *metastore.DB) (id string, err error) {
	err = db.Update(ctx, func(tx *metastore.Tx) error {
		var ok bool
		if id, ok, err = tx.Setting("host"); err != nil || ok {
			return err
		}
		id = metastore.NewID(time.Now())
		return tx.SetSetting("host", id)
	})
	return id, err
}

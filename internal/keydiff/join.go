package keydiff

import (
	"context"
	"sync"
)

// join compares partitions.
type join struct {
	d    *Diff
	each func(Change) error

	mu  sync.Mutex // of what follows
	sum *Report
}

// all joins the partitions of both sides, some at a time.
func (j *join) all(ctx context.Context, a, b *partitions) error {
	next := make(chan int)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range j.d.o.Workers {
		wg.Go(func() {
			w := &worker{join: j, sum: newReport(j.d.o)}
			for i := range next {
				if err := w.partition(ctx, a, b, i); err != nil {
					cancel(err)
				}
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			j.sum.merge(w.sum)
		})
	}
	for i := range a.parts {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// worker joins one partition at a time.
type worker struct {
	*join
	sum   *Report
	arena []byte
}

// partition joins one partition of each side, and gives up their memory.
func (w *worker) partition(ctx context.Context, a, b *partitions, i int) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	defer func() { a.parts[i], b.parts[i] = partition{}, partition{} }()
	// A map over the entries takes about as much as they do.
	most := w.d.o.Memory / int64(w.d.o.Workers) / 4
	if largest(a, b, i) <= most || a.deepest() {
		return w.pair(a, b, i)
	}
	finer := [2]*partitions{}
	for side, coarse := range [2]*partitions{a, b} {
		fine := newPartitions(w.d.spill, w.d.o, coarse.level+1)
		err := coarse.each(i, func(piece []byte) error {
			var e entry
			for len(piece) > 0 {
				n, err := e.read(piece)
				if err != nil {
					return err
				}
				if err := fine.add(e.id, piece[:n]); err != nil {
					return err
				}
				piece = piece[n:]
			}
			return context.Cause(ctx)
		})
		if err != nil {
			return err
		}
		finer[side] = fine
	}
	whole := largest(a, b, i)
	for k := range finer[A].parts {
		divide := w.partition
		if largest(finer[A], finer[B], k) > whole/8*7 {
			divide = func(_ context.Context, a, b *partitions, k int) error { return w.pair(a, b, k) }
		}
		if err := divide(ctx, finer[A], finer[B], k); err != nil {
			return err
		}
	}
	return nil
}

// largest is the larger of both sides' partitions. One that is most of what was divided has the same few keys again and again:
// to divide that further is in vain, and they take no room.
func largest(a, b *partitions, i int) int64 { return max(a.parts[i].bytes, b.parts[i].bytes) }

const onlyB = -1 // in place of where the key's entry of A is

// pair holds the entries of A, and asks for each of B whether it is among them.
func (w *worker) pair(a, b *partitions, i int) error {
	w.arena = w.arena[:0]
	places := make(map[hash128]int)
	var ea, eb entry
	err := a.each(i, func(piece []byte) error {
		for len(piece) > 0 {
			n, err := ea.read(piece)
			if err != nil {
				return err
			}
			if _, twice := places[ea.id]; twice {
				w.sum.DuplicatesA++
			} else {
				places[ea.id] = len(w.arena)
				w.arena = append(w.arena, piece[:n]...)
			}
			piece = piece[n:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = b.each(i, func(piece []byte) error {
		for len(piece) > 0 {
			n, err := eb.read(piece)
			if err != nil {
				return err
			}
			piece = piece[n:]
			at, known := places[eb.id]
			switch {
			case !known:
				places[eb.id] = onlyB
				err = w.found(nil, &eb)
			case at == onlyB || w.arena[at]&met != 0:
				w.sum.DuplicatesB++
			default:
				w.arena[at] |= met
				if _, err = ea.read(w.arena[at:]); err == nil {
					err = w.found(&ea, &eb)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for at := 0; at < len(w.arena); {
		n, err := ea.read(w.arena[at:])
		if err != nil {
			return err
		}
		if w.arena[at] == 0 {
			if err := w.found(&ea, nil); err != nil {
				return err
			}
		}
		at += n
	}
	if most := w.d.o.Memory; int64(cap(w.arena)) > most {
		w.arena = nil
	}
	return nil
}

// found counts a key, and reports it unless it is the same on both sides.
func (w *worker) found(a, b *entry) error {
	c := changeOf(a, b)
	w.sum.count(c)
	if c.Kind == Same || w.each == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.each(c)
}

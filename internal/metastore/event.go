package metastore

import (
	"database/sql"
	"math"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
)

// eventsPerMilli bounds the events of one millisecond, and leaves 43 bits for the millisecond, which last until 2248.
const eventsPerMilli = 1 << 20

// firstEvent is the smallest ID that an event of time t can have.
func firstEvent(t time.Time) int64 {
	const most = math.MaxInt64/eventsPerMilli - 1
	return min(max(t.UnixMilli(), 0), most) * eventsPerMilli
}

// AppendEvent adds a line to the story. Its time is kept to the millisecond.
func (tx *Tx) AppendEvent(e resource.Event) error {
	first := firstEvent(e.At)
	_, err := tx.Exec(`INSERT INTO events (id, account, region, service, source_type, source_id, message)
		VALUES ((SELECT COALESCE(MAX(id) + 1, ?) FROM events WHERE id >= ? AND id < ?), ?, ?, ?, ?, ?, ?)`,
		first, first, first+eventsPerMilli, e.Account, e.Region, e.Service, e.SourceType, e.SourceID, e.Message)
	return err
}

// EventFilter selects a page of events. Scope and Service are required.
type EventFilter struct {
	Scope      resource.Scope
	Service    string    // elasticache or memorydb
	SourceType string    // empty for any
	SourceID   string    // empty for any
	From, To   time.Time // both included, to the millisecond; zero for no bound
	Before     string    // the cursor that came with the page before; empty for the first page
	Limit      int       // 0 for all
}

// Events lists events, the newest first, and a cursor for the page after; it is empty at the end. Events that are appended meanwhile do not
// disturb the pages. A cursor that did not come from here is a resource.Error InvalidValue.
func (tx *Tx) Events(f EventFilter) (page []resource.Event, next string, err error) {
	query := `SELECT id, source_type, source_id, message FROM events WHERE account = ? AND region = ? AND service = ?`
	args := []any{f.Scope.Account, f.Scope.Region, f.Service}
	and := func(condition string, arg any) {
		query, args = query+` AND `+condition, append(args, arg)
	}
	if f.SourceType != "" {
		and(`source_type = ?`, f.SourceType)
	}
	if f.SourceID != "" {
		and(`source_id = ?`, f.SourceID)
	}
	if !f.From.IsZero() {
		and(`id >= ?`, firstEvent(f.From))
	}
	before := int64(0)
	if f.Before != "" {
		if before, err = strconv.ParseInt(f.Before, 10, 64); err != nil || before <= 0 {
			return nil, "", resource.Errorf(resource.InvalidValue, resource.TypeParameter, "Marker", "The marker %q is not valid.", f.Before)
		}
	}
	if !f.To.IsZero() {
		if end := firstEvent(f.To) + eventsPerMilli; before == 0 || end < before {
			before = end
		}
	}
	if before != 0 {
		and(`id < ?`, before)
	}
	query += ` ORDER BY id DESC`
	if f.Limit > 0 {
		query, args = query+` LIMIT ?`, append(args, f.Limit+1) // one more tells whether there is a next page
	}
	var ids []int64
	page, err = Rows(tx, func(row *sql.Rows) (resource.Event, error) {
		e := resource.Event{Scope: f.Scope, Service: f.Service}
		var id int64
		err := row.Scan(&id, &e.SourceType, &e.SourceID, &e.Message)
		e.At = time.UnixMilli(id / eventsPerMilli).UTC()
		ids = append(ids, id)
		return e, err
	}, query, args...)
	if f.Limit > 0 && len(page) > f.Limit {
		page, next = page[:f.Limit], strconv.FormatInt(ids[f.Limit-1], 10)
	}
	return page, next, err
}

// PruneEvents removes events from before a time and returns their number.
func (tx *Tx) PruneEvents(before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM events WHERE id < ?`, firstEvent(before))
}

package keyspace

import "time"

// Classes of expiries, by the time that a key has left.
const (
	expired = iota
	underMinute
	underHour
	underDay
	underWeek
	underMonth
	later
	never
	expiryClasses
)

var expiryNames = [expiryClasses]string{"expired", "under 1 minute", "under 1 hour", "under 1 day", "under 7 days", "under 30 days", "later", "never"}

var expiryBounds = [...]int64{
	expired: 0, underMinute: time.Minute.Milliseconds(), underHour: time.Hour.Milliseconds(), underDay: 24 * time.Hour.Milliseconds(),
	underWeek: 7 * 24 * time.Hour.Milliseconds(), underMonth: 30 * 24 * time.Hour.Milliseconds(),
}

// expiryClass is that of a key that expires at a time, 0 for never; both are Unix
// milliseconds.
func expiryClass(at, now int64) int {
	if at == 0 {
		return never
	}
	if at <= now {
		return expired
	}
	left := uint64(at) - uint64(now) // whatever they are
	for class := underMinute; class < later; class++ {
		if left < uint64(expiryBounds[class]) {
			return class
		}
	}
	return later
}

//go:build race

package app

// mostValues is less for the race detector: it looks at what memory is shared, which all operations with all members show, whatever the values are.
const mostValues = 1

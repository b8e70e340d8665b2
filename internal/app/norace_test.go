//go:build !race

package app

// mostValues is how many of the strange values every place gets.
const mostValues = 6

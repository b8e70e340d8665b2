// Package supervisor runs engine processes: it gives each node an address and a directory, starts it, waits until it is
// ready, tells when it died, stops and removes it. Engines outlive the supervisor. A later supervisor on the same directory
// finds them again and takes them over.
//
// One invariant carries the rest: an engine process inherits, from the very fork, a lock on the file "lock" in its node's
// directory, and keeps it until it is gone. Whoever holds that lock may start the node; so there is never a second process
// for a node, whatever the moment at which a supervisor was killed. A second inherited lock leases the address machine-wide.
//
// It needs Linux: loopback addresses at will, /proc, and process file descriptors.
package supervisor

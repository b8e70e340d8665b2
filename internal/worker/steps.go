package worker

// Steps names every place of this package, and of the capture and the supervisor that it calls, where a failpoint can end the process: before and after each
// thing that the bodies do to the world. The crash tests die at each of them.
var Steps = []string{
	"create-cache.recorded", "create-cache.created", "create-cache.placed", "create-cache.founded", "create-cache.inspected", "create-cache.piped", "create-cache.streaming", "create-cache.routing",
	"create-cache.fed", "create-cache.items-inspected", "create-cache.items-begun", "create-cache.items-loaded",
	"create-cache.started", "create-cache.ready", "create-cache.logged", "create-cache.unlinked", "create-cache.admitted", "create-cache.replicated",
	"modify-cache.saved", "modify-cache.counted", "modify-cache.switched", "modify-cache.started", "modify-cache.upgraded", "modify-cache.limited",
	"reshape.placed", "reshape.started", "reshape.joined", "reshape.followed", "reshape.importing", "reshape.migrating", "reshape.emptied", "reshape.taken",
	"reshape.given", "reshape.forgotten", "reshape.removed", "reshape.settled",
	"reshape.outfitted", "reshape.turned",
	"configure-cache.applied", "reboot-nodes.begun", "reboot-nodes.ready",
	"delete-cache.begun", "delete-cache.final-snapshot", "delete-cache.removed",
	"recover-node.counted", "recover-node.started", "recover-node.ready",
	"heal.fenced", "heal.promoted", "heal.recorded", "heal.counted", "heal.led", "heal.joined",
	"failover.begun", "failover.switched", "failover.recorded",
	"create-snapshot.begun", "create-snapshot.held", "create-snapshot.cut", "create-snapshot.items-read", "create-snapshot.captured", "create-snapshot.manifest",
	"copy-snapshot.begun", "copy-snapshot.manifest",
	"export-snapshot.begun", "export-snapshot.written", "export-snapshot.finished", "export-snapshot.committed",
	"delete-snapshot.begun", "delete-snapshot.manifest", "delete-snapshot.parts",
}

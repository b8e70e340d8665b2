package job

import "os"

func childOf() string { return os.Getenv("KEYFRAME_TEST_JOB_CHILD") }
func child(string)    {}

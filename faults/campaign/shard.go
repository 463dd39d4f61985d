package campaign

import (
	"fmt"
	"strconv"
	"strings"
)

// Shard is a part of a campaign: the Index-th of Count, from 1. The seeds are dealt out in
// turn. The zero value is the whole campaign.
type Shard struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// maxShards is how many parts a campaign has at most.
const maxShards = 1_000_000

// ShardError is a text that is no part of a campaign.
type ShardError struct {
	Text   string
	Reason string
}

func (e *ShardError) Error() string { return fmt.Sprintf("%q is no shard: %s", e.Text, e.Reason) }

// ParseShard reads I/N, the I-th of N parts. The error is a *ShardError.
func ParseShard(text string) (Shard, error) {
	first, second, ok := strings.Cut(text, "/")
	var s Shard
	var err, err2 error
	s.Index, err = strconv.Atoi(first)
	s.Count, err2 = strconv.Atoi(second)
	if !ok || err != nil || err2 != nil {
		return Shard{}, &ShardError{text, "it is written I/N, such as 1/8 for the first of eight"}
	}
	if s.Index < 1 || s.Count < 1 || s.Index > s.Count {
		return Shard{}, &ShardError{text, "the first number is from 1 to the second"}
	}
	if s.Count > maxShards {
		return Shard{}, &ShardError{text, fmt.Sprintf("there are at most %d", maxShards)}
	}
	return s, nil
}

// Validate reports with a *ShardError what is no part of anything.
func (s Shard) Validate() error {
	if s == (Shard{}) {
		return nil
	}
	_, err := ParseShard(s.String())
	return err
}

// String returns the shard as ParseShard reads it, empty for the whole.
func (s Shard) String() string {
	if s == (Shard{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Whole reports whether the shard is the whole campaign.
func (s Shard) Whole() bool { return s.Count <= 1 }

// has reports whether the n-th seed, from 0, is one of the shard.
func (s Shard) has(n uint64) bool {
	return s.Whole() || n%uint64(s.Count) == uint64(s.Index-1)
}

// The environment variables by which a shard is known.
const (
	// ShardsVariable has the number of shards where the variables of what runs them do
	// not tell it.
	ShardsVariable = "SWTPMD_SHARDS"

	jobIndexVariable = "JOB_COMPLETION_INDEX"
	slurmIDVariable  = "SLURM_ARRAY_TASK_ID"
	parallelVariable = "PARALLEL_SEQ"
)

// EnvironmentError says why the environment does not tell which shard a process is.
type EnvironmentError struct {
	Variable, Value string
	Reason          string
}

func (e *EnvironmentError) Error() string {
	return fmt.Sprintf("%s=%s: %s; name the part with --shard=I/N, or take --shard=1/1 for the whole", e.Variable, e.Value, e.Reason)
}

// ShardOf returns the part of a campaign that a process is to run, by its environment; the
// zero Shard if nothing tells that it is to run a part. Count is how many parts there are,
// if it is known otherwise; 0 is ShardsVariable.
//
//	Kubernetes    JOB_COMPLETION_INDEX, from 0, of a Job with completionMode: Indexed;
//	              the Job's completions are in no variable, so the number must be given
//	Slurm         SLURM_ARRAY_TASK_ID with _MIN, _COUNT and _STEP of a job array
//	GNU parallel  PARALLEL_SEQ, from 1; the number must be given
//
// The error is an *EnvironmentError.
func ShardOf(getenv func(string) string, count int) (Shard, error) {
	given := ShardsVariable
	if count == 0 && getenv(ShardsVariable) != "" {
		n, err := strconv.Atoi(getenv(ShardsVariable))
		if err != nil || n < 1 || n > maxShards {
			return Shard{}, &EnvironmentError{ShardsVariable, getenv(ShardsVariable), fmt.Sprintf("it is no number from 1 to %d", maxShards)}
		}
		count = n
	} else if count != 0 {
		given = "--shards"
	}
	index, name, err := shardIndex(getenv, &count)
	switch {
	case err != nil:
		return Shard{}, err
	case name == "" && count > 0:
		return Shard{}, &EnvironmentError{given, strconv.Itoa(count), "neither Kubernetes, Slurm nor GNU parallel tells which of them this process is"}
	case name == "":
		return Shard{}, nil
	case count == 0:
		return Shard{}, &EnvironmentError{name, getenv(name), "no variable tells how many parts there are: give --shards=N or " + ShardsVariable + "=N"}
	case index < 0 || index >= count:
		return Shard{}, &EnvironmentError{name, getenv(name), fmt.Sprintf("it is none of %d parts", count)}
	}
	return Shard{index + 1, count}, nil
}

// shardIndex returns the index, from 0, and the name of the variable that tells it. Slurm
// tells count too.
func shardIndex(getenv func(string) string, count *int) (index int, name string, err error) {
	number := func(name string) (int, error) {
		n, err := strconv.Atoi(getenv(name))
		if err != nil || n < 0 {
			return 0, &EnvironmentError{name, getenv(name), "it is no number"}
		}
		return n, nil
	}
	switch {
	case getenv(jobIndexVariable) != "":
		index, err = number(jobIndexVariable)
		return index, jobIndexVariable, err
	case getenv(slurmIDVariable) != "":
		index, err = slurmIndex(number, count)
		return index, slurmIDVariable, err
	case getenv(parallelVariable) != "":
		index, err = number(parallelVariable)
		return index - 1, parallelVariable, err
	}
	return 0, "", nil
}

// slurmIndex is the index in a job array whose numbers have equal steps.
func slurmIndex(number func(string) (int, error), count *int) (int, error) {
	var values [5]int
	for i, end := range []string{"ID", "MIN", "MAX", "COUNT", "STEP"} {
		var err error
		if values[i], err = number("SLURM_ARRAY_TASK_" + end); err != nil {
			return 0, err
		}
	}
	id, least, most, n, step := values[0], values[1], values[2], values[3], max(values[4], 1)
	if n < 1 || most-least != (n-1)*step || (id-least)%step != 0 {
		return 0, &EnvironmentError{slurmIDVariable, strconv.Itoa(id),
			fmt.Sprintf("the %d numbers of the array from %d to %d have no equal steps of %d", n, least, most, step)}
	}
	if *count != 0 && *count != n {
		return 0, &EnvironmentError{"SLURM_ARRAY_TASK_COUNT", strconv.Itoa(n), fmt.Sprintf("%d shards are asked for", *count)}
	}
	*count = n
	return (id - least) / step, nil
}

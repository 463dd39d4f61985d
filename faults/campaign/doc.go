// Package campaign draws fault plans from seeds, has software run under each of them, and
// makes one report of the outcomes.
//
//	draw.go              a plan from a seed
//	header.go result.go  what a campaign is, and what came of its runs
//	record.go            the decisions of a run, as the report shows them
//	file.go              results as lines of JSON, which survive a kill
//	shard.go merge.go    a campaign in parts, and the parts put together
//	run.go               the runs of a campaign, in parallel
//	shrink.go            the rules of a failing plan that matter
//	report.go, report_*  text, JSON, JUnit and HTML
//
// The package starts no process and opens no file: who runs a campaign gives it a Runner.
// What it makes depends on its input alone: the same seed gives the same plan, the same
// results give the same bytes of a report.
package campaign

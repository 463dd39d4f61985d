# Prints of /proc/kallsyms, given twice, what a System.map needs: the table of
# initcalls, the functions in it, where the kernel starts and executes init.

NR == FNR {
	if ($3 ~ /^__initcall_/) {
		print
		name = $3
		sub(/([0-7]s?|early|rootfs)$/, "", name)
		sub(/^.*__[0-9]+_[0-9]+_/, "", name)
		wanted[name] = 1
	}
	next
}
# The end of do_one_initcall is the symbol after it.
after { print; after = 0 }
$3 == "do_one_initcall" { after = 1 }
$3 in wanted || $3 ~ /^(do_one_initcall|linux_banner|rcu_end_inkernel_boot|run_init_process|saved_command_line|start_kernel)$/

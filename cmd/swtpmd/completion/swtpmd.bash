# bash completion for swtpmd. It asks the program itself.

_swtpmd() {
	local line=${COMP_LINE:0:COMP_POINT} words word means skip
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	local last=${words[${#words[@]} - 1]}
	# Readline replaces what follows the last = or : only.
	skip=${last%"${last##*[=:]}"}
	COMPREPLY=()
	while IFS=$'\t' read -r word means; do
		if [[ $word == :files ]]; then
			compopt -o default
			continue
		fi
		COMPREPLY+=("${word#"$skip"}")
		[[ $word == *[=:/] ]] && compopt -o nospace
	done < <("${words[0]}" completion words "${words[@]:1}" 2>/dev/null)
}

complete -F _swtpmd swtpmd

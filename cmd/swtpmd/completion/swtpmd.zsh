#compdef swtpmd
# zsh completion for swtpmd. It asks the program itself.

_swtpmd() {
	local line word means
	local -a described spaceless
	local files=
	while IFS=$'\t' read -r word means; do
		if [[ $word == :files ]]; then
			files=yes
		elif [[ $word == *[=:/] ]]; then
			spaceless+=("${word//:/\\:}${means:+:$means}")
		else
			described+=("${word//:/\\:}${means:+:$means}")
		fi
	done < <("${words[1]}" completion words "${(@Q)words[2,CURRENT]}" 2>/dev/null)
	(($#described)) && _describe -o swtpmd described
	(($#spaceless)) && _describe -o swtpmd spaceless -S ''
	if [[ -n $files ]]; then
		[[ $PREFIX == -*=* ]] && compset -P '*='
		_files
	fi
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
	_swtpmd "$@"
else
	compdef _swtpmd swtpmd
fi

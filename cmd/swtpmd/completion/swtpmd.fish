# fish completion for swtpmd. It asks the program itself.

function __swtpmd_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] completion words $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            set -l last $words[-1]
            set -l before (string match -r -- '^-.*?=' $last)
            for file in (__fish_complete_path (string replace -r -- '^-.*?=' '' $last))
                echo $before$file
            end
        else
            echo $line
        end
    end
end

complete -c swtpmd -f -a '(__swtpmd_complete)'

#!/usr/bin/env bash
# Installs what is missing, builds Release, and leaves out/sharedstorage-writer, out/sharedstorage-reader and out/sharedstorage (tools).
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

require_dotnet
require_packages libpg-query-dev postgresql-15 postgresql-client-15

cd "$ROOT"
rm -rf out/lib
mkdir -p out/lib
# The reader is built upon all assemblies but the tools' own: what was compiled ahead of time for it is taken for the others, not compiled again.
compiled=
for project in reader/Reader.csproj writer/Writer.csproj shared/Tools/Tools.csproj; do
  obj=$(dirname "$project")/obj/Release/net10.0
  [ -z "$compiled" ] || { mkdir -p "$obj"; cp -a "$compiled" "$obj/"; }
  dotnet publish "$project" -c Release -o out/lib -nologo -v q -m:2
  compiled=$obj/R2R
done
for program in sharedstorage-writer sharedstorage-reader sharedstorage; do ln -sfn "lib/$program" "out/$program"; done
say "built: out/sharedstorage-writer out/sharedstorage-reader out/sharedstorage"

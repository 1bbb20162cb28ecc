#!/usr/bin/env bash
# Installs what is missing, builds Release, and leaves out/sharedstorage-writer, out/sharedstorage-reader and out/sharedstorage (tools).
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

require_dotnet
require_packages libpg-query-dev postgresql-15 postgresql-client-15

cd "$ROOT"
rm -rf out/lib
mkdir -p out/lib
for project in writer/Writer.csproj reader/Reader.csproj shared/Tools/Tools.csproj; do
  dotnet publish "$project" -c Release -r linux-x64 --no-self-contained -p:PublishReadyToRun=true -o out/lib -nologo -v q -m:2
done
for program in sharedstorage-writer sharedstorage-reader sharedstorage; do ln -sfn "lib/$program" "out/$program"; done
say "built: out/sharedstorage-writer out/sharedstorage-reader out/sharedstorage"

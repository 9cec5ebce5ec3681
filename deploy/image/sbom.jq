# The SBOM of the image in SPDX 2.3. Reads lines of six fields: "contained" or "compiled in", then of a Debian package its
# name, version, architecture, and the name and version of its source.
def id: "SPDXRef-Package-" + gsub("[^A-Za-z0-9.-]"; "-");

def unknown: {
  downloadLocation: "NOASSERTION", filesAnalyzed: false, licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION",
  copyrightText: "NOASSERTION"
};

def purl($text): [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: $text}];

def package: unknown + {
  SPDXID: (.name | id),
  name,
  versionInfo: .version,
  supplier: "Organization: Debian",
  sourceInfo: "built from: \(.source) \(.source_version)",
  externalRefs: purl("pkg:deb/debian/\(.name | @uri)@\(.version | @uri)?arch=\(.arch)&distro=debian-\($debian)")
};

def relation($from; $type; $to): {spdxElementId: $from, relationshipType: $type, relatedSpdxElement: $to};

"SPDXRef-Image" as $image | ("impcert" | id) as $impcert
| [inputs / "\t" | {use: .[0], name: .[1], version: .[2], arch: .[3], source: .[4], source_version: .[5]}] as $packages
| {
  spdxVersion: "SPDX-2.3",
  dataLicense: "CC0-1.0",
  SPDXID: "SPDXRef-DOCUMENT",
  name: "impcert-image-\($version)",
  # Unique for what it says, and the same for the same.
  documentNamespace: "https://spdx.org/spdxdocs/impcert-image-\($version)-\($hash)",
  creationInfo: {created: $created, creators: ["Tool: impcert-deploy-image-assemble"]},
  packages: ([
    unknown + {SPDXID: $image, name: "impcert-image", versionInfo: $version, primaryPackagePurpose: "CONTAINER"},
    unknown + {
      SPDXID: $impcert, name: "impcert", versionInfo: $version, primaryPackagePurpose: "APPLICATION",
      sourceInfo: "built from revision \($revision)", licenseDeclared: "Apache-2.0",
      externalRefs: purl("pkg:generic/impcert@\($version | @uri)")
    }
  ] + ($packages | map(package))),
  relationships: ([
    relation("SPDXRef-DOCUMENT"; "DESCRIBES"; $image),
    relation($image; "CONTAINS"; $impcert)
  ] + ($packages | map(
    if .use == "contained" then relation($image; "CONTAINS"; .name | id) else relation($impcert; "STATIC_LINK"; .name | id) end
  )))
}

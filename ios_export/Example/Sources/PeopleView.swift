import FaceAllCore
import SwiftUI
import UniformTypeIdentifiers

/// The list of enrolled people, to rename, merge or delete them, to undo changes, and to import or export bundles.
struct PeopleView: View {
    @EnvironmentObject private var faces: FacesModel
    @Environment(\.dismiss) private var dismiss
    @State private var isImporting = false
    @State private var isExporting = false
    @State private var bundle: BundleDocument?

    var body: some View {
        NavigationView {
            List {
                Section("People") {
                    ForEach(faces.people) { person in
                        PersonRow(person: person)
                    }
                    .onDelete { places in
                        let gone = places.map { faces.people[$0] }
                        Task {
                            for person in gone {
                                await faces.remove(person)
                            }
                        }
                    }
                }
                if !faces.hiddenPeople.isEmpty {
                    Section("Hidden") {
                        ForEach(faces.hiddenPeople) { person in
                            Button("Show \(person.name) again") { Task { await faces.hide(person, hidden: false) } }
                        }
                    }
                }
                Section {
                    ForEach(faces.history.prefix(50)) { change in
                        ChangeRow(change: change)
                    }
                } header: {
                    Text("Changes")
                } footer: {
                    Text("Deleted faces can be restored for \(Gallery.binDays) days.")
                }
            }
            .navigationTitle("People")
            .toolbar {
                ToolbarItem(placement: .cancellationAction) { Button("Done") { dismiss() } }
                ToolbarItem { Button("Undo") { Task { await faces.undo() } }.disabled(faces.history.isEmpty) }
                ToolbarItem { Button("Import") { isImporting = true } }
                ToolbarItem {
                    Button("Export") {
                        Task {
                            bundle = await faces.exportedBundle().map(BundleDocument.init(data:))
                            isExporting = bundle != nil
                        }
                    }
                }
            }
        }
        .fileImporter(isPresented: $isImporting, allowedContentTypes: [.data]) { result in
            if case let .success(url) = result {
                Task { await faces.importBundle(url) }
            }
        }
        .fileExporter(
            isPresented: $isExporting,
            document: bundle, contentType: .data, defaultFilename: "phone.faceall"
        ) { _ in bundle = nil }
    }
}

/// A change with a button to undo it.
struct ChangeRow: View {
    @EnvironmentObject private var faces: FacesModel
    let change: Change
    @State private var canUndo = false

    var body: some View {
        HStack {
            VStack(alignment: .leading) {
                Text(change.summary)
                Text(change.made.text).font(.caption).foregroundColor(.secondary)
            }
            .accessibilityElement(children: .combine)
            Spacer()
            if canUndo {
                Button("Undo") { Task { await faces.undo(change) } }
                    .accessibilityLabel("Undo: \(change.summary)")
            }
        }
        .task(id: faces.history.count) { canUndo = await faces.canUndo(change) }
    }
}

/// A row with an editable name.
struct PersonRow: View {
    @EnvironmentObject private var faces: FacesModel
    let person: Person
    @State private var name = ""

    var body: some View {
        HStack {
            Thumbnail(jpeg: faces.covers[person.id] ?? Data(), side: 44).accessibilityHidden(true)
            TextField("Name", text: $name)
                .accessibilityLabel("Name of \(person.name)")
                .onAppear { name = person.name }
                .onSubmit { Task { await faces.rename(person, to: name) } }
            NavigationLink {
                PersonView(person: person)
            } label: {
                Image(systemName: "info.circle")
            }
            .accessibilityLabel("Details of \(person.name)")
        }
        .contextMenu {
            Button("Hide \(person.name)") { Task { await faces.hide(person) } }
            ForEach(faces.people.filter { $0.id != person.id }) { other in
                Button("Merge into \(other.name)") { Task { await faces.merge(person, into: other) } }
            }
        }
    }
}

/// A gallery bundle as a document of the system.
struct BundleDocument: FileDocument {
    static let readableContentTypes: [UTType] = [.data]
    let data: Data

    init(data: Data) {
        self.data = data
    }

    init(configuration: ReadConfiguration) throws {
        data = configuration.file.regularFileContents ?? Data()
    }

    func fileWrapper(configuration: WriteConfiguration) throws -> FileWrapper {
        FileWrapper(regularFileWithContents: data)
    }
}

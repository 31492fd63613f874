import FaceAllCore
import SwiftUI

/// What is noted of a person: note, birth date, and the face that represents them.
struct PersonView: View {
    @EnvironmentObject private var faces: FacesModel
    let person: Person
    @State private var note = ""
    @State private var born = ""
    @State private var own: [StoredFace] = []

    var body: some View {
        Form {
            Section {
                TextField("Note", text: $note).accessibilityLabel("Note about \(person.name)")
                TextField("Birth date, as 2019-05-31", text: $born).accessibilityLabel("Birth date of \(person.name)")
                Button("Save") { Task { await faces.note(note, born: born, of: person) } }
                    .accessibilityHint("Stores the note and the birth date")
            } footer: {
                Text("Notes and birth dates are part of exported bundles.")
            }
            Section("Cover") {
                ForEach(own) { face in
                    Button { Task { await faces.cover(face, of: person) } } label: { Thumbnail(jpeg: face.thumbnail) }
                        .accessibilityLabel("Face from \(face.photo.name), use as cover")
                }
            }
            Section {
                Button("Hide \(person.name)") { Task { await faces.hide(person) } }
            } footer: {
                Text("Hidden people are not listed and not suggested. They are still recognised.")
            }
        }
        .navigationTitle(person.name)
        .onAppear {
            note = person.details?.note ?? ""
            born = person.details?.born ?? ""
        }
        .task(id: faces.history.count) { own = await faces.faces(of: person) }
    }
}

/// A stored face as an image.
struct Thumbnail: View {
    let jpeg: Data
    var side: CGFloat = 160

    var body: some View {
        if let image = UIImage(data: jpeg) {
            Image(uiImage: image).resizable().scaledToFit().frame(maxWidth: side, maxHeight: side)
        }
    }
}
